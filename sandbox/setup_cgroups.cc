// SPDX-License-Identifier: Apache-2.0
// /sys/fs/cgroup of a step. A process in a cgroup namespace of its own that mounts a hierarchy sees its own group as
// the top, at the very paths where a program of a container looks for its limits. All is mounted before any of it is
// attached, so that a machine that refuses one keeps what was there before.
#include <cstring>

#include "sandbox/setup_attach.h"
#include "sandbox/setup_steps.h"

namespace cbuild::sandbox::setup {
namespace {

/// A detached mount of one hierarchy; -errno on failure.
int new_cgroup_mount(const CgroupMount& hierarchy, Attributes attributes) {
  const int fs = kernel::fs_open(hierarchy.name.empty() ? "cgroup2" : "cgroup");
  if (fs < 0) return fs;
  int result = kernel::fs_set(fs, "source", "cgroup");
  for (const auto& [key, value] : hierarchy.options)
    if (result >= 0)
      result = value.empty() ? kernel::fs_flag(fs, key.c_str()) : kernel::fs_set(fs, key.c_str(), value.c_str());
  if (result >= 0) result = kernel::fs_create(fs);
  if (result >= 0) result = kernel::fs_mount(fs, attributes);
  return close_with(fs, result);
}

/// "cpu" and "cpuacct" for "cpu,cpuacct", where programs look for each.
int link_controllers(int directory, const char* name) {
  const char* const end = name + std::strlen(name);
  if (std::strchr(name, ',') == nullptr) return 0;
  for (const char* part = name; part < end;) {
    const char* const comma = std::strchr(part, ',');
    const std::size_t length = static_cast<std::size_t>((comma == nullptr ? end : comma) - part);
    char link[64] = {};
    if (length == 0 || length >= sizeof link) return -ENAMETOOLONG;
    std::memcpy(link, part, length);
    const long made = kernel::call(SYS_symlinkat, name, directory, link);
    if (made < 0) return static_cast<int>(made);
    part += length + 1;
  }
  return 0;
}

}  // namespace

int OperationRunner::attach_cgroups(const MountCgroups& operation, const int* trees) {
  constexpr const char* kPlace = "/sys/fs/cgroup";
  if (operation.hierarchies[0].name.empty()) return attach_at(trees[0], kPlace);
  // All are attached by name inside a tmpfs, which has to be attached first: until 6.15 the kernel takes no mount
  // inside a detached one.
  const int top = new_tmpfs("0555", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  int error = top < 0 ? top : attach_at(top, kPlace);
  for (std::size_t i = 0; i < operation.hierarchies.size() && error >= 0; ++i) {
    const char* const name = operation.hierarchies[i].name.c_str();
    error = make_and_attach(top, name, trees[i]);
    if (error >= 0) error = link_controllers(top, name);
  }
  if (error >= 0) error = kernel::set_attributes(top, operation.attributes, false);
  return close_with(top, error);
}

int OperationRunner::operator()(const MountCgroups& operation) {
  int trees[kMostCgroups];
  if (operation.hierarchies.size() > kMostCgroups) return -E2BIG;
  std::size_t count = 0;
  int error = 0;
  for (; count < operation.hierarchies.size() && error >= 0; ++count)
    error = trees[count] = new_cgroup_mount(operation.hierarchies[count], operation.attributes);
  const bool all_made = error >= 0;
  if (all_made) error = attach_cgroups(operation, trees);
  while (count > 0) kernel::call(SYS_close, trees[--count]);
  return !all_made && operation.optional ? 0 : error < 0 ? error : 0;
}

}  // namespace cbuild::sandbox::setup
