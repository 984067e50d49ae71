// SPDX-License-Identifier: Apache-2.0
// Why a shared group: a step needs a cgroup for device control, because CAP_MKNOD without it opens the machine's disks.
// Its rules are the same for all steps, so one group is made when the first step starts, and clone3 puts every child
// straight into it. Moving a process there instead would wait for an RCU grace period, which takes milliseconds.
#include "sandbox/cgroup.h"

#include <linux/bpf.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/cgroup_dirs.h"
#include "sandbox/cgroup_limits.h"
#include "sandbox/device_rules.h"

namespace cbuild::sandbox {
namespace {

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

bool control_devices_v1(int directory, const std::vector<DeviceRule>& rules) {
  if (!write_control(directory, "devices.deny", "a")) return false;
  for (const std::string& line : devices_allow_lines(rules))
    if (!write_control(directory, "devices.allow", line)) return false;
  return true;
}

/// Where a step's own group goes. In v2 that is the top, because no other group may have both members and groups with
/// controllers.
std::string parent_of(const CgroupHierarchy& hierarchy, const Spec& spec) {
  if (!spec.cgroup_parent.empty()) return spec.cgroup_parent;
  return hierarchy.unified ? "/" : hierarchy.own_directory.substr(hierarchy.mount_point.size());
}

std::string key_of(const std::vector<DeviceNode>& devices) {
  std::string key;
  for (const DeviceNode& node : devices)
    key += cat(node.type, node.major, ":", node.minor, node.may_read ? "r" : "", node.may_write ? "w" : "", ",");
  return key;
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
    for (const CgroupHierarchy* hierarchy : {unified(), with_controller("devices")})
      if (hierarchy != nullptr) remove_leftovers(hierarchy->own_directory);
    if (auto group = make_group(Spec{}, cat(kCgroupPrefix, unique_))) groups_.emplace("", std::move(*group));
  }
  if (groups_.empty()) return nullptr;
  const std::string key = key_of(spec.devices);
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    auto group = make_group(spec, cat(kCgroupPrefix, unique_, "-d", groups_.size()));
    if (!group) throw Error(ErrorCode::io, "cannot make a cgroup for the step's devices");
    found = groups_.emplace(key, std::move(*group)).first;
  }
  return &found->second;
}

/// Where the next build looks for steps' own groups if this one is killed.
void CgroupPlacer::note_parent(const std::string& directory) {
  const auto shared = groups_.find("");
  if (shared != groups_.end() && parents_.insert(directory).second) note_parents(shared->second.fd.get(), parents_);
}

/// Writes the limits that this hierarchy has a controller for; the rest stays in `unlimited`.
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
    note_parent(dir_name(placement.directories.back()));
    UniqueFd directory = make_below(hierarchy, path, unlimited);
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

UniqueFd CgroupPlacer::open_oom_file(const std::vector<std::string>& step_directories, bool& is_own) const {
  for (const std::string& directory : step_directories)
    for (const char* name : {"/memory.events", "/memory.oom_control"})
      if (auto fd = sys::try_open_at(AT_FDCWD, directory + name, O_RDONLY)) {
        is_own = true;
        return std::move(*fd);
      }
  std::vector<std::string> candidates;
  for (const std::string& directory : step_directories) candidates.push_back(directory + "/../memory.events");
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

/// An OCI runtime makes the groups itself, by the name in Spec::cgroup_parent, and leaves them where it is killed.
void CgroupPlacer::expect_groups_of_runtime(const Spec& spec, Placement& placement) {
  if (hierarchies_.empty())
    hierarchies_ = parse_hierarchies(read_proc("/proc/self/mountinfo"), read_proc("/proc/self/cgroup"));
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    const bool from_top = spec.cgroup_parent.starts_with('/');
    placement.directories.push_back(
        clean_path(cat(from_top ? hierarchy.mount_point : hierarchy.own_directory, "/", spec.cgroup_parent)));
    note_parent(dir_name(placement.directories.back()));
  }
  placement.oom_file = open_oom_file({}, placement.counts_own_kills);
}

CgroupPlacer::Placement CgroupPlacer::place(const Spec& spec, std::uint64_t step_id) {
  Placement placement;
  if (!spec.bundle.empty()) {
    expect_groups_of_runtime(spec, placement);
    placement.oom_kills = oom_kills(placement.oom_file.get());
    return placement;
  }
  const Group* const group = group_for(spec);
  const bool limited = spec.resources != Resources{};
  if (!spec.cgroup_parent.empty() || limited) {
    if (hierarchies_.empty())
      hierarchies_ = parse_hierarchies(read_proc("/proc/self/mountinfo"), read_proc("/proc/self/cgroup"));
    try {
      place_in_own_group(spec, cat(kCgroupPrefix, unique_, "-", step_id), placement);
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
  placement.oom_file = open_oom_file(placement.directories, placement.counts_own_kills);
  placement.oom_kills = oom_kills(placement.oom_file.get());
  return placement;
}

bool CgroupPlacer::release(Placement placement, ResourceUse& use) {
  const bool killed = oom_kills(placement.oom_file.get()) > placement.oom_kills;
  read_cgroup_use(placement.directories, use);
  for (const std::string& directory : placement.directories) remove_with_parents(directory);
  return killed;
}

}  // namespace cbuild::sandbox
