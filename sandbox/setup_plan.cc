// SPDX-License-Identifier: Apache-2.0
// Spec -> setup steps. The mount table is that of BuildKit with runc: overlay root, proc, dev, pts, shm, mqueue, sys,
// cgroup, resolv.conf and hosts, the step's own mounts, then masks; no tmpfs on /run, because files that a step writes
// there belong to the layer.
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox::setup {
namespace {

constexpr Attributes kReadOnly = MOUNT_ATTR_RDONLY, kNoSuid = MOUNT_ATTR_NOSUID, kNoDev = MOUNT_ATTR_NODEV,
                     kNoExec = MOUNT_ATTR_NOEXEC;
constexpr Attributes kNoSuidDevExec = kNoSuid | kNoDev | kNoExec;

constexpr const char* kMaskedPaths[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",     "/sys/devices/virtual/powercap",
};
constexpr const char* kReadOnlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

const DeviceNode kStandardNodes[] = {
    {"/dev/null", 'c', 1, 3},   {"/dev/zero", 'c', 1, 5},    {"/dev/full", 'c', 1, 7},
    {"/dev/random", 'c', 1, 8}, {"/dev/urandom", 'c', 1, 9}, {"/dev/tty", 'c', 5, 0},
};
const DeviceNode kInsecureNodes[] = {
    {"/dev/kmsg", 'c', 1, 11},  {"/dev/cuse", 'c', 10, 203},    {"/dev/fuse", 'c', 10, 229},
    {"/dev/kvm", 'c', 10, 232}, {"/dev/net/tun", 'c', 10, 200}, {"/dev/loop-control", 'c', 10, 237},
};

/// Appends steps to a plan, as the mode and the machine allow.
class Planner {
 public:
  Planner(const Spec& spec, Mode mode, const HostTraits& traits) : spec_(spec), mode_(mode), traits_(traits) {}

  Plan build() && {
    if (!traits_.cgroup_procs.empty()) add(JoinCgroups{traits_.cgroup_procs});
    add(NewSession{});
    if (mode_ == Mode::chroot) {
      add(ChangeRoot{spec_.upper_fd});
    } else {
      namespaces();
      build_trees();
      attach_trees();
      add(PivotRoot{});
      if (spec_.network == NetworkMode::none) add(LoopbackUp{});
      add(SetHostname{spec_.hostname});
    }
    become_command();
    plan_.slots = next_slot_;
    return std::move(plan_);
  }

 private:
  void add(Step step) { plan_.steps.push_back(std::move(step)); }
  bool in_user_namespace() const { return mode_ != Mode::root; }
  /// Nodes are made where that works and where a device cgroup decides who may open them; otherwise the
  /// machine's are bound.
  bool makes_nodes() const { return mode_ == Mode::root && (traits_.device_control || spec_.insecure); }
  Attributes device_attributes() const { return makes_nodes() ? 0 : kNoDev; }

  void namespaces();
  void build_trees();
  Slot overlay(const std::vector<int>& lowers, int upper, int work, Attributes attributes, bool throw_away);
  Slot bind(int fd, std::string host_path, Attributes attributes, bool optional = false);
  Slot mount_tree(const Mount& mount);
  void attach_trees();
  void proc();
  void devices();
  void unless_replaced(MountFileSystem mount);
  void parents_of(const DeviceNode& node);
  void device_node(const DeviceNode& node);
  void sys();
  void content_files();
  void user_mount(const Mount& mount, Slot slot);
  void masks();
  void become_command();
  Attributes attributes_of(const Mount& mount) const;

  const Spec& spec_;
  const Mode mode_;
  const HostTraits& traits_;
  Plan plan_;
  Slot next_slot_ = 1;          // 0 is the root
  std::vector<Step> in_place_;  // overlays that have to be mounted in the step's own namespace
  std::vector<Slot> mount_slots_;
  std::vector<std::pair<DeviceNode, Slot>> bound_nodes_;
  Slot bound_proc_ = 0, bound_sys_ = 0;
  bool content_store_ = false;
};

/// A directory name inside mount(2)'s option string.
std::string option_value(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == ',' || c == ':' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

void Planner::namespaces() {
  plan_.namespaces = CLONE_NEWIPC | CLONE_NEWUTS;
  if (mode_ != Mode::masked_proc) plan_.namespaces |= CLONE_NEWPID;
  if (spec_.network == NetworkMode::none) plan_.namespaces |= CLONE_NEWNET;
}

Slot Planner::bind(int fd, std::string host_path, Attributes attributes, bool optional) {
  add(CloneTree{next_slot_, fd, std::move(host_path), attributes, optional});
  return next_slot_++;
}

Slot Planner::overlay(const std::vector<int>& lowers, int upper, int work, Attributes attributes, bool throw_away) {
  const bool is_root = upper >= 0;
  const Slot slot = is_root ? kRootSlot : next_slot_++;
  if (traits_.layers_by_fsconfig && !throw_away) {
    add(OverlayTree{slot, lowers, upper, work, attributes, in_user_namespace()});
    return slot;
  }
  add(CloneLayers{next_slot_, lowers, is_root ? traits_.layer_base : -1});
  OverlayInPlace step{slot,       next_slot_,         lowers.size(), {}, {}, is_root, !is_root && !throw_away,
                      attributes, in_user_namespace()};
  if (is_root) {
    step.upper = option_value(traits_.upper_name);
    step.work = option_value(traits_.work_name);
  }
  next_slot_ += lowers.size() + (is_root ? 1 : 0);
  in_place_.emplace_back(std::move(step));
  return slot;
}

Attributes Planner::attributes_of(const Mount& mount) const {
  return (mount.read_only ? kReadOnly : 0) | (mount.no_suid ? kNoSuid : 0) | (mount.no_dev ? kNoDev : 0) |
         (mount.no_exec ? kNoExec : 0) | device_attributes();
}

Slot Planner::mount_tree(const Mount& mount) {
  if (const auto* source = std::get_if<BindSource>(&mount.source)) return bind(source->fd, {}, attributes_of(mount));
  const auto* source = std::get_if<OverlaySource>(&mount.source);
  if (source == nullptr) return 0;
  const Attributes attributes = attributes_of(mount) | (source->writable ? 0 : kReadOnly);
  if (source->lower_fds.size() == 1 && !source->writable) return bind(source->lower_fds[0], {}, attributes);
  return overlay(source->lower_fds, -1, -1, attributes, source->writable);
}

void Planner::build_trees() {
  std::vector<int> lowers = spec_.lower_fds;
  if (spec_.skeleton_fd >= 0) lowers.insert(lowers.begin(), spec_.skeleton_fd);
  if (lowers.empty())
    add(CloneTree{kRootSlot, spec_.upper_fd, {}, device_attributes()});
  else
    overlay(lowers, spec_.upper_fd, spec_.work_fd, device_attributes(), false);
  for (const Mount& mount : spec_.mounts) mount_slots_.push_back(mount_tree(mount));

  if (mode_ == Mode::masked_proc) bound_proc_ = bind(-1, "/proc", kNoSuidDevExec);
  const bool owns_network =
      mode_ == Mode::root || (mode_ == Mode::user_namespace && spec_.network == NetworkMode::none);
  if (!owns_network) bound_sys_ = bind(-1, "/sys", kNoSuidDevExec | (spec_.insecure ? 0 : kReadOnly), true);
  if (makes_nodes()) return;
  // Read-only keeps a step from changing mode and owner of the machine's nodes; devices stay writable through
  // it.
  constexpr Attributes attributes = kNoSuid | kNoExec | kReadOnly;
  for (const DeviceNode& node : kStandardNodes) bound_nodes_.emplace_back(node, bind(-1, node.path, attributes));
  for (const DeviceNode& node : spec_.devices)
    bound_nodes_.emplace_back(node, bind(-1, node.host_path.empty() ? node.path : node.host_path, attributes));
}

void Planner::attach_trees() {
  add(EnterMountNamespace{traits_.unified_cgroup});
  for (Step& step : in_place_) add(std::move(step));
  add(AttachRoot{});
  proc();
  devices();
  sys();
  content_files();
  for (std::size_t i = 0; i < spec_.mounts.size(); ++i) user_mount(spec_.mounts[i], mount_slots_[i]);
  if (!spec_.insecure) masks();
}

void Planner::proc() {
  if (bound_proc_ != 0)
    add(AttachTree{bound_proc_, "/proc"});
  else
    add(MountFileSystem{"proc", "/proc", kNoSuidDevExec, {}});
}

/// A mount of the step stands for ours at the same place, which would only lie hidden below it.
void Planner::unless_replaced(MountFileSystem mount) {
  const auto takes_its_place = [&](const Mount& other) { return clean_path(other.target) == mount.target; };
  if (std::none_of(spec_.mounts.begin(), spec_.mounts.end(), takes_its_place)) add(std::move(mount));
}

void Planner::parents_of(const DeviceNode& node) {
  for (auto slash = node.path.find('/', 5); slash != std::string::npos; slash = node.path.find('/', slash + 1))
    add(MakeDirectory{node.path.substr(0, slash), 0755});
}

void Planner::device_node(const DeviceNode& node) {
  parents_of(node);
  add(MakeNode{node});
}

void Planner::devices() {
  const Attributes attributes = kNoSuid | MOUNT_ATTR_STRICTATIME | device_attributes();
  add(MountFileSystem{"tmpfs", "/dev", attributes, {{"mode", "755"}, {"size", "65536k"}}});
  for (const char* directory : {"/dev/pts", "/dev/shm", "/dev/mqueue"}) add(MakeDirectory{directory, 0755});
  std::vector<std::pair<std::string, std::string>> pts = {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  if (traits_.tty_group_mapped) pts.emplace_back("gid", "5");
  unless_replaced({"devpts", "/dev/pts", kNoSuid | kNoExec, std::move(pts)});
  unless_replaced({"tmpfs", "/dev/shm", kNoSuidDevExec, {{"mode", "1777"}, {"size", std::to_string(spec_.shm_size)}}});
  unless_replaced({"mqueue", "/dev/mqueue", kNoSuidDevExec, {}, true});

  for (const auto& [path, to] : {std::pair{"/dev/fd", "/proc/self/fd"},
                                 {"/dev/stdin", "/proc/self/fd/0"},
                                 {"/dev/stdout", "/proc/self/fd/1"},
                                 {"/dev/stderr", "/proc/self/fd/2"},
                                 {"/dev/ptmx", "pts/ptmx"}})
    add(MakeLink{path, to});
  for (const auto& [node, slot] : bound_nodes_) {
    parents_of(node);
    add(MakeFile{node.path});
    add(AttachTree{slot, node.path});
  }
  if (!makes_nodes()) return;
  for (const DeviceNode& node : kStandardNodes) add(MakeNode{node});
  for (const DeviceNode& node : spec_.devices) device_node(node);
  if (!spec_.insecure) return;
  for (const DeviceNode& node : kInsecureNodes) device_node(node);
  for (int i = 0; i < traits_.loop_devices; ++i)
    add(MakeNode{{cat("/dev/loop", i), 'b', 7, static_cast<std::uint32_t>(i), 0660}});
}

void Planner::sys() {
  const Attributes attributes = kNoSuidDevExec | (spec_.insecure ? 0 : kReadOnly);
  if (bound_sys_ != 0) {
    add(AttachTree{bound_sys_, "/sys", true});
    return;  // brings the machine's cgroup file system along, read-only
  }
  add(MountFileSystem{"sysfs", "/sys", attributes, {}});
  if (traits_.unified_cgroup) add(MountFileSystem{"cgroup2", "/sys/fs/cgroup", attributes, {}, in_user_namespace()});
}

void Planner::content_files() {
  const auto is_content = [](const Mount& mount) { return std::holds_alternative<ContentSource>(mount.source); };
  content_store_ = !spec_.hosts_file.empty() || !spec_.resolv_conf.empty() ||
                   std::any_of(spec_.mounts.begin(), spec_.mounts.end(), is_content);
  if (content_store_) add(ContentStore{});
  const Attributes attributes = kNoSuidDevExec | kReadOnly;
  if (!spec_.resolv_conf.empty()) add(AttachContent{{spec_.resolv_conf, 0, 0, 0644}, "/etc/resolv.conf", attributes});
  if (!spec_.hosts_file.empty()) add(AttachContent{{spec_.hosts_file, 0, 0, 0644}, "/etc/hosts", attributes});
}

void Planner::user_mount(const Mount& mount, Slot slot) {
  const std::string target = clean_path(mount.target);
  if (const auto* tmpfs = std::get_if<TmpfsSource>(&mount.source)) {
    std::string mode;
    for (int shift = 9; shift >= 0; shift -= 3) mode += static_cast<char>('0' + ((tmpfs->mode >> shift) & 7));
    std::vector<std::pair<std::string, std::string>> options = {{"mode", mode}};
    if (tmpfs->size_bytes > 0) options.emplace_back("size", std::to_string(tmpfs->size_bytes));
    add(MountFileSystem{"tmpfs", target, attributes_of(mount), std::move(options)});
    return;
  }
  if (const auto* content = std::get_if<ContentSource>(&mount.source)) {
    add(AttachContent{*content, target, attributes_of(mount)});
    return;
  }
  const auto* overlay_source = std::get_if<OverlaySource>(&mount.source);
  if (overlay_source != nullptr && clean_path(cat("/", overlay_source->path)) != "/")
    add(SelectPath{slot, overlay_source->path});
  add(AttachTree{slot, target});
}

void Planner::masks() {
  for (const char* path : kReadOnlyPaths) add(ReadOnly{path});
  for (const char* path : kMaskedPaths) add(Mask{path});
  for (const std::string& path : traits_.thermal_paths) add(Mask{path});
}

std::vector<std::string> path_candidates(const Spec& spec) {
  std::vector<std::string> candidates;
  const std::string& name = spec.argv[0];
  if (name.find('/') != std::string::npos) return candidates;
  for (const std::string& variable : spec.environment) {
    if (variable.rfind("PATH=", 0) != 0) continue;
    candidates.clear();  // the last one wins, as in every libc
    for (const std::string& directory : split(std::string_view(variable).substr(5), ':'))
      if (!directory.empty() && directory[0] == '/') candidates.push_back(join_path(directory, name));
  }
  return candidates;
}

void Planner::become_command() {
  add(ProcessDefaults{});
  for (const Ulimit& limit : spec_.ulimits) add(limit_step(limit));
  add(CloseDescriptors{});
  add(EnterDirectory{spec_.working_dir, spec_.uid, spec_.gid});
  add(NewKeyring{});
  const std::uint64_t keep = spec_.insecure ? ~std::uint64_t{0} : default_capabilities();
  add(BoundCapabilities{keep, mode_ != Mode::chroot});
  if (!spec_.insecure) add(FilterSystemCalls{mode_ != Mode::chroot});
  std::vector<gid_t> groups = spec_.additional_gids;
  if (std::find(groups.begin(), groups.end(), spec_.gid) == groups.end()) groups.insert(groups.begin(), spec_.gid);
  add(SetIds{spec_.uid, spec_.gid, std::move(groups), traits_.may_set_groups});
  add(SetCapabilities{keep, spec_.insecure});
  add(Execute{spec_.argv, spec_.environment, path_candidates(spec_)});
}

}  // namespace

std::uint64_t default_capabilities() {
  std::uint64_t bits = 0;
  for (const int capability :
       {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD, CAP_NET_RAW, CAP_SETGID, CAP_SETUID,
        CAP_SETFCAP, CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE})
    bits |= std::uint64_t{1} << capability;
  return bits;
}

Plan make_plan(const Spec& spec, Mode mode, const HostTraits& traits) {
  validate(spec, mode);
  return Planner(spec, mode, traits).build();
}

}  // namespace cbuild::sandbox::setup
