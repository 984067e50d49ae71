// SPDX-License-Identifier: Apache-2.0
// Why a shared group: what a step needs a cgroup for is device control, because CAP_MKNOD without it opens
// the machine's disks. Its rules are the same for all steps, so one group is made when the first step starts,
// and clone3 puts every child straight into it. Moving a process there instead would wait for an RCU grace
// period, which takes milliseconds.
#include "sandbox/cgroup.h"

#include <linux/bpf.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/cgroup_limits.h"
#include "sandbox/device_rules.h"

namespace cbuild::sandbox {
namespace {

constexpr std::string_view kPrefix = "cbuild-";

std::string read_proc(const char* path) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  return fd ? sys::read_all(fd->get(), 4u << 20) : std::string();
}

long bpf(int command, union bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

/// Attaches the program to a v2 directory; it stays there as long as the directory. False where the kernel
/// refuses.
bool control_devices(int directory, const std::vector<DeviceRule>& rules) {
  const std::vector<bpf_insn> program = device_program(rules);
  union bpf_attr load {};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insn_cnt = static_cast<__u32>(program.size());
  load.insns = reinterpret_cast<std::uintptr_t>(program.data());
  load.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  const UniqueFd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
  if (!loaded) return false;
  union bpf_attr attach {};
  attach.target_fd = static_cast<__u32>(directory);
  attach.attach_bpf_fd = static_cast<__u32>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  return bpf(BPF_PROG_ATTACH, attach) == 0;
}

bool write_control(int directory, const char* name, std::string_view value) {
  const auto fd = sys::try_open_at(directory, name, O_WRONLY);
  return fd && ::write(fd->get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

bool control_devices_v1(int directory, const std::vector<DeviceRule>& rules) {
  if (!write_control(directory, "devices.deny", "a")) return false;
  for (const std::string& line : devices_allow_lines(rules))
    if (!write_control(directory, "devices.allow", line)) return false;
  return true;
}

/// A v1 cpuset takes no process before it has processors and memory nodes.
void inherit_cpuset(const std::string& directory) {
  const UniqueFd child = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const char* name : {"cpuset.cpus", "cpuset.mems"})
    if (trim(sys::read_file_at(child.get(), name, 4096)).empty())
      write_control(child.get(), name, sys::read_file_at(child.get(), cat("../", name), 4096));
}

/// A controller that v1 holds is refused here, which limit() does not mind.
void hand_down(const std::string& directory, const std::vector<std::string_view>& controllers) {
  const UniqueFd fd = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const std::string_view controller : controllers)
    write_control(fd.get(), "cgroup.subtree_control", cat("+", controller));
}

/// Where a step's own group goes. In v2 that is the top, because no other group may have members beside groups with
/// controllers.
std::string parent_of(const CgroupHierarchy& hierarchy, const Spec& spec) {
  if (!spec.cgroup_parent.empty()) return spec.cgroup_parent;
  return hierarchy.unified ? "/" : hierarchy.own_directory.substr(hierarchy.mount_point.size());
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

/// Removes a step's own group, and those above it that builds made and that nobody else is in.
void remove_with_parents(std::string directory) {
  for (;;) {
    if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return;
    directory = dir_name(directory);
    if (::access(directory.c_str(), F_OK) == 0 && !is_marked(directory)) return;
  }
}

/// In v2 every directory on the way hands `controllers` down.
void make_way(const CgroupHierarchy& hierarchy, const std::string& path,
              const std::vector<std::string_view>& controllers) {
  const bool has_cpuset =
      std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), "cpuset") != hierarchy.controllers.end();
  std::string directory = hierarchy.mount_point;
  for (const std::string& part : split(path, '/')) {
    if (part.empty()) continue;
    if (hierarchy.unified && !controllers.empty()) hand_down(directory, controllers);
    directory = cat(directory, "/", part);
    make_on_the_way(directory);
    if (has_cpuset) inherit_cpuset(directory);
  }
}

/// Another build may remove what is on the way until the last part is there.
void make_below(const CgroupHierarchy& hierarchy, const std::string& path,
                const std::vector<std::string_view>& controllers) {
  constexpr int kTries = 100;
  for (int i = 1;; ++i) {
    try {
      return make_way(hierarchy, path, controllers);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found || i == kTries) throw;
    }
  }
}

std::string key_of(const std::vector<DeviceNode>& devices) {
  std::string key;
  for (const DeviceNode& node : devices)
    key += cat(node.type, node.major, ":", node.minor, node.may_read ? "r" : "", node.may_write ? "w" : "", ",");
  return key;
}

/// Makes a directory and takes the lock that says it is in use. Until it is taken another build may find the directory,
/// think it left over and remove it: then it is made again. nullopt if it cannot be made.
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

}  // namespace

CgroupPlacer::CgroupPlacer(Mode mode, wire::DeviceControl control) : mode_(mode), control_(control) {
  std::uint32_t number = 0;
  while (::getrandom(&number, sizeof number, 0) != sizeof number) {
  }
  unique_ = std::to_string(number);
}

CgroupPlacer::~CgroupPlacer() {
  for (const auto& [key, group] : groups_) ::rmdir(group.directory.c_str());
}

const CgroupHierarchy* CgroupPlacer::unified() const {
  const auto it = std::find_if(hierarchies_.begin(), hierarchies_.end(), [](const auto& h) { return h.unified; });
  return it == hierarchies_.end() ? nullptr : &*it;
}

const CgroupHierarchy* CgroupPlacer::with_controller(std::string_view controller) const {
  for (const CgroupHierarchy& hierarchy : hierarchies_)
    if (std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), controller) !=
        hierarchy.controllers.end())
      return &hierarchy;
  return nullptr;
}

bool CgroupPlacer::controls_devices() { return group_for(Spec{}) != nullptr; }

/// Directories of builds that were killed: nobody holds their lock any more.
void CgroupPlacer::remove_leftovers() const {
  for (const CgroupHierarchy* hierarchy : {unified(), with_controller("devices")}) {
    const auto own = hierarchy == nullptr
                         ? std::nullopt
                         : sys::try_open_at(AT_FDCWD, hierarchy->own_directory, O_RDONLY | O_DIRECTORY);
    if (!own) continue;
    for (const std::string& name : sys::list_dir(own->get())) {
      if (name.rfind(kPrefix, 0) != 0) continue;
      const auto directory = sys::try_open_at(own->get(), name, O_RDONLY | O_DIRECTORY);
      if (directory && ::flock(directory->get(), LOCK_EX | LOCK_NB) == 0)
        ::unlinkat(own->get(), name.c_str(), AT_REMOVEDIR);
    }
  }
}

std::optional<CgroupPlacer::Group> CgroupPlacer::make_group(const Spec& spec, const std::string& name) {
  const std::vector<DeviceRule> rules = device_rules(spec);
  const CgroupHierarchy* const v2 = control_ == wire::DeviceControl::automatic ? unified() : nullptr;
  for (const CgroupHierarchy* hierarchy : {v2, with_controller("devices")}) {
    if (hierarchy == nullptr) continue;
    Group group{cat(hierarchy->own_directory, "/", name), {}, {}};
    auto held = make_held(group.directory);
    if (!held) continue;
    group.fd = std::move(*held);
    const bool done =
        hierarchy->unified ? control_devices(group.fd.get(), rules) : control_devices_v1(group.fd.get(), rules);
    if (done && !hierarchy->unified) group.procs = sys::open_at(group.fd.get(), "cgroup.procs", O_WRONLY);
    if (done) return group;
    ::rmdir(group.directory.c_str());
  }
  return std::nullopt;
}

const CgroupPlacer::Group* CgroupPlacer::group_for(const Spec& spec) {
  if (mode_ != Mode::root || control_ == wire::DeviceControl::none) return nullptr;
  if (!tried_) {
    tried_ = true;
    hierarchies_ = parse_hierarchies(read_proc("/proc/self/mountinfo"), read_proc("/proc/self/cgroup"));
    remove_leftovers();
    if (auto group = make_group(Spec{}, cat(kPrefix, unique_))) groups_.emplace("", std::move(*group));
  }
  if (groups_.empty()) return nullptr;
  const std::string key = key_of(spec.devices);
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    auto group = make_group(spec, cat(kPrefix, unique_, "-d", groups_.size()));
    if (!group) throw Error(ErrorCode::io, "cannot make a cgroup for the step's devices");
    found = groups_.emplace(key, std::move(*group)).first;
  }
  return &found->second;
}

/// Writes what this hierarchy has a controller for; the rest stays in `unlimited`.
void CgroupPlacer::limit(const CgroupHierarchy& hierarchy, const Spec& spec, int directory,
                         std::vector<std::string_view>& unlimited) const {
  for (const CgroupSetting& setting : cgroup_settings(spec.resources, hierarchy.unified)) {
    const CgroupHierarchy* const v1 = with_controller(setting.controller);
    if (hierarchy.unified ? v1 != nullptr : v1 != &hierarchy) continue;
    if (!write_control(directory, std::string(setting.file).c_str(), setting.value))
      throw Error(ErrorCode::unsupported, cat("cannot write ", setting.value, " to ", setting.file));
    std::erase(unlimited, setting.controller);
  }
}

void CgroupPlacer::place_in_own_group(const Spec& spec, const std::string& name, Placement& placement) {
  const std::vector<DeviceRule> rules = device_rules(spec);
  bool controlled = spec.insecure || mode_ != Mode::root || groups_.empty();
  std::vector<std::string_view> unlimited;
  for (const CgroupSetting& setting : cgroup_settings(spec.resources, true)) unlimited.push_back(setting.controller);
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    if (!hierarchy.unified && hierarchy.controllers.size() == 1 && hierarchy.controllers[0].rfind("name=", 0) == 0)
      continue;
    const std::string path = clean_path(cat("/", parent_of(hierarchy, spec), "/", name));
    placement.directories.push_back(cat(hierarchy.mount_point, path));
    make_below(hierarchy, path, unlimited);
    UniqueFd directory = sys::open_at(AT_FDCWD, placement.directories.back(), O_RDONLY | O_DIRECTORY);
    const bool devices = hierarchy.unified || &hierarchy == with_controller("devices");
    if (!controlled && devices)
      controlled =
          hierarchy.unified ? control_devices(directory.get(), rules) : control_devices_v1(directory.get(), rules);
    limit(hierarchy, spec, directory.get(), unlimited);
    if (hierarchy.unified)
      placement.cgroup_fd = directory.get();
    else
      placement.owned.push_back(sys::open_at(directory.get(), "cgroup.procs", O_WRONLY));
    if (!hierarchy.unified) placement.procs_fds.push_back(placement.owned.back().get());
    placement.owned.push_back(std::move(directory));
  }
  if (placement.directories.empty()) throw Error(ErrorCode::unsupported, "no cgroup hierarchy is mounted");
  if (!controlled) throw Error(ErrorCode::io, "cannot control devices there");
  if (!unlimited.empty()) throw Error(ErrorCode::unsupported, cat("no cgroup controller for ", unlimited.front()));
}

UniqueFd CgroupPlacer::open_oom_file(const std::vector<std::string>& step_directories) const {
  std::vector<std::string> candidates;
  for (const std::string& directory : step_directories)
    for (const char* name : {"/memory.events", "/memory.oom_control", "/../memory.events"})
      candidates.push_back(directory + name);
  if (const auto* v2 = unified()) candidates.push_back(v2->own_directory + "/memory.events");
  if (const auto* memory = with_controller("memory"))
    candidates.push_back(memory->own_directory + "/memory.oom_control");
  candidates.emplace_back("/proc/vmstat");
  for (const std::string& path : candidates)
    if (auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY)) return std::move(*fd);
  return UniqueFd();
}

namespace {

std::uint64_t oom_kills(int fd) {
  std::array<char, 16384> text;
  const ssize_t got = fd < 0 ? 0 : ::pread(fd, text.data(), text.size(), 0);
  return parse_oom_kills(std::string_view(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0)).value_or(0);
}

}  // namespace

CgroupPlacer::Placement CgroupPlacer::place(const Spec& spec, std::uint64_t step_id) {
  Placement placement;
  const Group* const group = group_for(spec);
  const bool limited = spec.resources != Resources{};
  if (!spec.cgroup_parent.empty() || limited) {
    if (hierarchies_.empty())
      hierarchies_ = parse_hierarchies(read_proc("/proc/self/mountinfo"), read_proc("/proc/self/cgroup"));
    try {
      place_in_own_group(spec, cat(kPrefix, unique_, "-", step_id), placement);
    } catch (Error& error) {
      for (const std::string& directory : placement.directories) remove_with_parents(directory);
      throw error.add_context(spec.cgroup_parent.empty() ? "resource limits"
                                                         : cat("cgroup parent ", spec.cgroup_parent));
    }
  } else if (group != nullptr && !spec.insecure) {
    if (group->procs)
      placement.procs_fds.push_back(group->procs.get());
    else
      placement.cgroup_fd = group->fd.get();
  }
  placement.oom_file = open_oom_file(placement.directories);
  placement.oom_kills = oom_kills(placement.oom_file.get());
  return placement;
}

bool CgroupPlacer::release(Placement placement) {
  const bool killed = oom_kills(placement.oom_file.get()) > placement.oom_kills;
  for (const std::string& directory : placement.directories) remove_with_parents(directory);
  return killed;
}

}  // namespace cbuild::sandbox
