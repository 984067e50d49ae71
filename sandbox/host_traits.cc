// SPDX-License-Identifier: Apache-2.0
#include "sandbox/host_traits.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/kernel.h"

namespace cbuild::sandbox {
namespace {

bool overlay_takes_single_layers() {
  const UniqueFd fs(kernel::fs_open("overlay"));
  // No overlay at all: let the step say so.
  return !fs || kernel::fs_set(fs.get(), "lowerdir+", "/") >= 0;
}

std::string read_small(const char* path) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  return fd ? sys::read_all(fd->get(), 4u << 20) : std::string();
}

bool cgroups_are_unified() {
  struct statfs info {};
  return ::statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

std::vector<setup::CgroupMount> mounted_cgroups() {
  if (cgroups_are_unified()) return {{}};
  return cgroups_to_show(parse_hierarchies(read_small("/proc/self/mountinfo"), read_small("/proc/self/cgroup")));
}

bool group_is_mapped(std::int64_t gid) {
  const std::string map = read_small("/proc/self/gid_map");
  if (map.empty()) return true;
  for (const std::string& line : split(map, '\n')) {
    std::vector<std::int64_t> numbers;
    for (const std::string& field : split(line, ' '))
      if (const auto number = parse_int(field)) numbers.push_back(*number);
    if (numbers.size() == 3 && numbers[0] <= gid && gid < numbers[0] + numbers[2]) return true;
  }
  return false;
}

std::vector<std::string> thermal_paths() {
  const std::string base = "/sys/devices/system/cpu";
  std::vector<std::string> paths;
  const auto directory = sys::try_open_at(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
  if (!directory) return paths;
  for (const std::string& name : sys::list_dir(directory->get())) {
    if (name.rfind("cpu", 0) != 0 || !parse_int(std::string_view(name).substr(3))) continue;
    if (sys::try_stat_at(directory->get(), cat(name, "/thermal_throttle")))
      paths.push_back(cat(base, "/", name, "/thermal_throttle"));
  }
  return paths;
}

bool same_file(int fd, int dirfd, const std::string& name) {
  const struct stat a = sys::stat_fd(fd);
  const auto b = sys::try_stat_at(dirfd, name);
  return b && a.st_dev == b->st_dev && a.st_ino == b->st_ino;
}

}  // namespace

std::vector<setup::CgroupMount> cgroups_to_show(const std::vector<CgroupHierarchy>& hierarchies) {
  std::vector<setup::CgroupMount> mounts;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.unified || mounts.size() == setup::kMostCgroups) continue;
    setup::CgroupMount mount{base_name(hierarchy.mount_point), {}};
    for (const std::string& controller : hierarchy.controllers) {
      const bool named = controller.starts_with("name=");
      if (named) mount.options.emplace_back("none", "");
      mount.options.emplace_back(named ? "name" : controller, named ? controller.substr(5) : "");
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

setup::HostTraits detect_host_traits() {
  setup::HostTraits traits;
  traits.layers_by_fsconfig = overlay_takes_single_layers();
  traits.cgroup_namespaces = sys::try_stat_at(AT_FDCWD, "/proc/self/ns/cgroup").has_value();
  traits.cgroups = mounted_cgroups();
  traits.tty_group_mapped = group_is_mapped(5);
  traits.may_set_groups = trim(read_small("/proc/self/setgroups")) != "deny";
  traits.thermal_paths = thermal_paths();
  traits.labels = confine::detect_labels("");
  return traits;
}

int count_loop_devices() {
  const auto control = sys::try_open_at(AT_FDCWD, "/dev/loop-control", O_RDWR);
  const int free = control ? ::ioctl(control->get(), LOOP_CTL_GET_FREE) : 0;
  return std::max(free, 0) + 8;
}

LayerBase find_layer_base(int upper_fd, int work_fd) {
  const auto upper = split(sys::readlink_at(AT_FDCWD, sys::fd_path(upper_fd)), '/');
  const auto work = split(sys::readlink_at(AT_FDCWD, sys::fd_path(work_fd)), '/');
  const auto fork = std::mismatch(upper.begin(), upper.end(), work.begin(), work.end());
  const std::vector<std::string> upper_parts(fork.first, upper.end()), work_parts(fork.second, work.end());
  std::string way_up = ".";
  for (std::size_t i = 0; i < upper_parts.size(); ++i) way_up += "/..";
  LayerBase base{sys::open_at(upper_fd, way_up, O_PATH | O_DIRECTORY), join(upper_parts, "/"), join(work_parts, "/")};
  if (upper_parts.empty() || work_parts.empty() || !same_file(upper_fd, base.fd.get(), base.upper_name) ||
      !same_file(work_fd, base.fd.get(), base.work_name))
    throw Error(ErrorCode::io, "the upper and the work directory of a step have moved");
  return base;
}

}  // namespace cbuild::sandbox
