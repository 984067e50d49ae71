// SPDX-License-Identifier: Apache-2.0
// A build that is killed together with its zygote leaves its groups. Those that lie in the builder's own group are
// found by their names, and by their locks, which end with the zygote. A step's own group may lie anywhere
// (--cgroup-parent, or at the top for limits), and searching all hierarchies for it would cost every build some
// milliseconds. So the shared group, which every build has, carries the places as an extended attribute.
#include "sandbox/cgroup_dirs.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox {
namespace {

/// A v1 cpuset takes no process before it has processors and memory nodes.
void inherit_cpuset(const std::string& directory) {
  const UniqueFd child = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const char* name : {"cpuset.cpus", "cpuset.mems"})
    if (trim(sys::read_file_at(child.get(), name, 4096)).empty())
      write_control(child.get(), name, sys::read_file_at(child.get(), cat("../", name), 4096));
}

/// A controller that v1 holds is refused here, which limit() does not mind.
void hand_down(const std::string& directory, const std::vector<std::string_view>& controllers) {
  if (controllers.empty()) return;
  const UniqueFd fd = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const std::string_view controller : controllers)
    write_control(fd.get(), "cgroup.subtree_control", cat("+", controller));
}

/// Marks a directory that a build made on the way to a step's own group: any build that is done below may remove it.
constexpr const char* kMarks[] = {"trusted.cbuild.made", "user.cbuild.made"};

void make_on_the_way(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0) {
    if (errno != EEXIST) throw_errno(errno, cat("mkdir ", directory));
    return;
  }
  for (const char* mark : kMarks)
    if (::setxattr(directory.c_str(), mark, "", 0, 0) == 0) return;
}

bool is_marked(const std::string& directory) {
  return std::any_of(std::begin(kMarks), std::end(kMarks),
                     [&](const char* mark) { return ::getxattr(directory.c_str(), mark, nullptr, 0) >= 0; });
}

/// One of a pair of names: that of user.* works where trusted.* is not allowed.
constexpr const char* kPlaces[] = {"trusted.cbuild.places", "user.cbuild.places"};

bool has_cpuset(const CgroupHierarchy& hierarchy) {
  return std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), "cpuset") != hierarchy.controllers.end();
}

void make_way(const CgroupHierarchy& hierarchy, const std::string& path,
              const std::vector<std::string_view>& controllers) {
  std::string directory = hierarchy.mount_point;
  for (const std::string& part : split(path, '/')) {
    if (part.empty()) continue;
    if (hierarchy.unified) hand_down(directory, controllers);
    directory = cat(directory, "/", part);
    make_on_the_way(directory);
    if (has_cpuset(hierarchy)) inherit_cpuset(directory);
  }
  if (hierarchy.unified) hand_down(directory, controllers);
}

std::vector<std::string> noted_parents(int shared) {
  for (const char* name : kPlaces) {
    std::string value(1u << 16, '\0');
    const ssize_t size = ::fgetxattr(shared, name, value.data(), value.size());
    if (size > 0) return split(value.substr(0, static_cast<std::size_t>(size)), '\n');
  }
  return {};
}

/// Groups of single steps of the build whose shared group is called `build`. False if one has members yet.
bool remove_groups_of(const std::string& build, const std::string& parent) {
  const auto directory = sys::try_open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
  if (!directory) return true;
  bool removed = true;
  for (const std::string& name : sys::list_dir(directory->get())) {
    if (!name.starts_with(build + "-")) continue;
    remove_with_parents(cat(parent, "/", name));
    removed &= !sys::try_stat_at(AT_FDCWD, cat(parent, "/", name)).has_value();
  }
  return removed;
}

}  // namespace

bool write_control(int directory, const char* name, std::string_view value) {
  const auto fd = sys::try_open_at(directory, name, O_WRONLY);
  return fd && ::write(fd->get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

// Until the lock is taken another build may find the directory, think it left over and remove it: then it is made
// again.
std::optional<UniqueFd> make_held(const std::string& directory) {
  for (;;) {
    if (::mkdir(directory.c_str(), 0755) != 0) return std::nullopt;
    auto fd = sys::try_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (!fd) continue;
    while (::flock(fd->get(), LOCK_SH) != 0 && errno == EINTR) {
    }
    const auto there = sys::try_stat_at(AT_FDCWD, directory);
    if (there && there->st_ino == sys::stat_fd(fd->get()).st_ino) return fd;
  }
}

void remove_with_parents(std::string directory) {
  for (;;) {
    if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return;
    directory = dir_name(directory);
    if (::access(directory.c_str(), F_OK) == 0 && !is_marked(directory)) return;
  }
}

UniqueFd make_below(const CgroupHierarchy& hierarchy, const std::string& path,
                    const std::vector<std::string_view>& controllers) {
  constexpr int kTries = 100;  // another build may remove the groups on the way until the last part is there
  const std::string directory = cat(hierarchy.mount_point, path);
  for (int i = 1;; ++i) {
    try {
      make_way(hierarchy, dir_name(path), controllers);
      auto held = make_held(directory);
      if (!held) throw_errno(errno, cat("mkdir ", directory));
      if (has_cpuset(hierarchy)) inherit_cpuset(directory);
      return std::move(*held);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found || i == kTries) throw;
    }
  }
}

void note_parents(int shared, const std::set<std::string>& parents) {
  std::string value;
  for (const std::string& parent : parents) {
    if (parent.find('\n') != std::string::npos) continue;
    value += cat(value.empty() ? "" : "\n", parent);
  }
  for (const char* name : kPlaces)
    if (::fsetxattr(shared, name, value.data(), value.size(), 0) == 0) return;
}

void remove_leftovers(const std::string& own_directory) {
  const auto own = sys::try_open_at(AT_FDCWD, own_directory, O_RDONLY | O_DIRECTORY);
  if (!own) return;
  for (const std::string& name : sys::list_dir(own->get())) {
    if (!name.starts_with(kCgroupPrefix)) continue;
    const auto directory = sys::try_open_at(own->get(), name, O_RDONLY | O_DIRECTORY);
    if (!directory || ::flock(directory->get(), LOCK_EX | LOCK_NB) != 0) continue;
    bool removed = true;
    for (const std::string& parent : noted_parents(directory->get())) removed &= remove_groups_of(name, parent);
    if (removed) ::unlinkat(own->get(), name.c_str(), AT_REMOVEDIR);
  }
}

namespace {

constexpr std::size_t kMaxControlFile = 1u << 20;
constexpr const char* kUseFiles[] = {"cpu.stat",
                                     "memory.peak",
                                     "io.stat",
                                     "cpuacct.usage_user",
                                     "cpuacct.usage_sys",
                                     "memory.max_usage_in_bytes",
                                     "blkio.throttle.io_service_bytes"};

}  // namespace

void read_cgroup_use(const std::vector<std::string>& directories, ResourceUse& use) {
  for (const std::string& directory : directories)
    for (const char* name : kUseFiles)
      if (const auto fd = sys::try_open_at(AT_FDCWD, cat(directory, "/", name), O_RDONLY))
        add_cgroup_use(name, sys::read_all(fd->get(), kMaxControlFile), use);
}

}  // namespace cbuild::sandbox
