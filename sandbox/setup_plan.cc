// SPDX-License-Identifier: Apache-2.0
// Spec -> setup steps. The mount table is that of BuildKit with runc: overlay root, proc, dev, pts, shm, mqueue, sys,
// cgroup, resolv.conf and hosts, the step's own mounts, then masks; no tmpfs on /run, because files that a step writes
// there belong to the layer. setup_trees.cc makes what is mounted, setup_devices.cc fills /dev, setup_command.cc has
// the end.
#include <sched.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "sandbox/setup_parts.h"

namespace cbuild::sandbox::setup {
namespace {

constexpr const char* kMaskedPaths[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",     "/sys/devices/virtual/powercap",
};
constexpr const char* kReadOnlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

/// Attaches the trees to the root, and mounts what is made for the step alone.
class RootBuilder {
 public:
  RootBuilder(const Conditions& conditions, Trees trees) : conditions_(conditions), trees_(std::move(trees)) {}

  std::vector<Operation> build() &&;

 private:
  void add(Operation operation) { operations_.push_back(std::move(operation)); }
  void add(std::vector<Operation> operations) {
    std::move(operations.begin(), operations.end(), std::back_inserter(operations_));
  }
  void proc();
  void sys();
  void content_files();
  void user_mount(const Mount& mount, Slot slot);
  void masks();

  const Conditions& conditions_;
  Trees trees_;
  std::vector<Operation> operations_;
};

std::vector<Operation> RootBuilder::build() && {
  add(std::move(trees_.operations));
  add(EnterMountNamespace{conditions_.traits.cgroup_namespaces});
  add(std::move(trees_.in_place));
  add(AttachRoot{});
  proc();
  add(fill_devices(conditions_, trees_.nodes));
  sys();
  content_files();
  for (std::size_t i = 0; i < trees_.mounts.size(); ++i) user_mount(conditions_.spec.mounts[i], trees_.mounts[i]);
  if (!conditions_.spec.insecure) masks();
  return std::move(operations_);
}

void RootBuilder::proc() {
  if (trees_.proc != 0)
    add(AttachTree{trees_.proc, "/proc"});
  else
    add(MountFileSystem{"proc", "/proc", kNoSuidDevExec, {}});
}

void RootBuilder::sys() {
  const Attributes attributes = kNoSuidDevExec | (conditions_.spec.insecure ? 0 : kReadOnly);
  if (trees_.sys != 0)
    add(AttachTree{trees_.sys, "/sys", true});  // brings the machine's cgroup file system along, read-only
  else
    add(MountFileSystem{"sysfs", "/sys", attributes, {}});
  if (conditions_.traits.cgroup_namespaces && !conditions_.traits.cgroups.empty())
    add(MountCgroups{conditions_.traits.cgroups, attributes, conditions_.in_user_namespace()});
}

void RootBuilder::content_files() {
  const auto is_content = [](const Mount& mount) { return std::holds_alternative<ContentSource>(mount.source); };
  const bool has_content = !conditions_.spec.hosts_file.empty() || !conditions_.spec.resolv_conf.empty() ||
                           std::any_of(conditions_.spec.mounts.begin(), conditions_.spec.mounts.end(), is_content);
  if (has_content) add(ContentStore{});
  const Attributes attributes = kNoSuidDevExec | kReadOnly;
  if (!conditions_.spec.resolv_conf.empty())
    add(AttachContent{{conditions_.spec.resolv_conf, 0, 0, 0644}, "/etc/resolv.conf", attributes});
  if (!conditions_.spec.hosts_file.empty())
    add(AttachContent{{conditions_.spec.hosts_file, 0, 0, 0644}, "/etc/hosts", attributes});
}

void RootBuilder::user_mount(const Mount& mount, Slot slot) {
  const std::string target = clean_path(mount.target);
  if (const auto* tmpfs = std::get_if<TmpfsSource>(&mount.source)) {
    std::string mode;
    for (int shift = 9; shift >= 0; shift -= 3) mode += static_cast<char>('0' + ((tmpfs->mode >> shift) & 7));
    std::vector<std::pair<std::string, std::string>> options = {{"mode", mode}};
    if (tmpfs->size_bytes > 0) options.emplace_back("size", std::to_string(tmpfs->size_bytes));
    add(MountFileSystem{"tmpfs", target, conditions_.attributes_of(mount), std::move(options)});
    return;
  }
  if (const auto* content = std::get_if<ContentSource>(&mount.source)) {
    add(AttachContent{*content, target, conditions_.attributes_of(mount)});
    return;
  }
  const auto* overlay_source = std::get_if<OverlaySource>(&mount.source);
  if (overlay_source != nullptr && clean_path(cat("/", overlay_source->path)) != "/")
    add(SelectPath{slot, overlay_source->path});
  add(AttachTree{slot, target});
}

void RootBuilder::masks() {
  for (const char* path : kReadOnlyPaths) add(ReadOnly{path});
  for (const char* path : kMaskedPaths) add(Mask{path});
  for (const std::string& path : conditions_.traits.thermal_paths) add(Mask{path});
}

std::uint64_t namespaces_of(const Conditions& conditions) {
  std::uint64_t namespaces = CLONE_NEWIPC | CLONE_NEWUTS;
  if (conditions.mode != Mode::masked_proc) namespaces |= CLONE_NEWPID;
  if (conditions.spec.network == NetworkMode::none) namespaces |= CLONE_NEWNET;
  return namespaces;
}

/// A step of an OCI runtime: see Spec::bundle.
OperationList make_bundle_plan(const Conditions& conditions) {
  const Spec& spec = conditions.spec;
  OperationList plan;
  plan.namespaces = CLONE_NEWPID;
  Trees trees = build_trees(conditions);
  plan.slots = trees.slots;
  plan.operations.push_back(NewSession{});
  std::move(trees.operations.begin(), trees.operations.end(), std::back_inserter(plan.operations));
  plan.operations.push_back(PrivateMounts{});
  std::move(trees.in_place.begin(), trees.in_place.end(), std::back_inserter(plan.operations));
  plan.operations.push_back(AttachByName{kRootSlot, cat(spec.bundle, "/rootfs")});
  plan.operations.push_back(ContentStore{});
  std::size_t number = 0;
  for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
    if (std::holds_alternative<TmpfsSource>(spec.mounts[i].source)) continue;
    const std::string place = cat(spec.bundle, "/mounts/", number++);
    const auto* content = std::get_if<ContentSource>(&spec.mounts[i].source);
    const auto* overlay = std::get_if<OverlaySource>(&spec.mounts[i].source);
    if (overlay != nullptr && clean_path(cat("/", overlay->path)) != "/")
      plan.operations.push_back(SelectPath{trees.mounts[i], overlay->path});
    if (content != nullptr)
      plan.operations.push_back(AttachContentByName{*content, place});
    else
      plan.operations.push_back(AttachByName{trees.mounts[i], place});
  }
  for (const std::string* text : {&spec.resolv_conf, &spec.hosts_file})
    if (!text->empty())
      plan.operations.push_back(AttachContentByName{{*text, 0, 0, 0644}, cat(spec.bundle, "/mounts/", number++)});
  plan.operations.push_back(ProcessDefaults{});
  plan.operations.push_back(CloseDescriptors{});
  plan.operations.push_back(Execute{spec.argv, spec.environment, path_candidates(spec)});
  return plan;
}

}  // namespace

std::span<const char* const> masked_paths() { return kMaskedPaths; }
std::span<const char* const> read_only_paths() { return kReadOnlyPaths; }

OperationList make_plan(const Spec& spec, Mode mode, const HostTraits& traits) {
  validate(spec, mode);
  const Conditions conditions{spec, mode, traits, confine::choose_labels(traits.labels, spec.security, spec.insecure)};
  if (!spec.bundle.empty()) return make_bundle_plan(conditions);
  OperationList plan;
  plan.slots = 1;
  const auto add = [&](std::vector<Operation> operations) {
    std::move(operations.begin(), operations.end(), std::back_inserter(plan.operations));
  };
  if (!traits.cgroup_procs.empty()) plan.operations.push_back(JoinCgroups{traits.cgroup_procs});
  plan.operations.push_back(NewSession{spec.stdin_fd, spec.terminal_fd});
  if (mode == Mode::chroot) {
    plan.operations.push_back(ChangeRoot{spec.upper_fd});
  } else {
    plan.namespaces = namespaces_of(conditions);
    if (spec.network_fd >= 0) plan.operations.push_back(EnterNetwork{spec.network_fd});
    Trees trees = build_trees(conditions);
    plan.slots = trees.slots;
    add(RootBuilder(conditions, std::move(trees)).build());
    for (const confine::LabelWrite& write : conditions.labels.writes) plan.operations.push_back(WriteLabel{write});
    plan.operations.push_back(PivotRoot{});
    if (spec.network == NetworkMode::none) plan.operations.push_back(LoopbackUp{});
    plan.operations.push_back(SetHostname{spec.hostname});
  }
  add(become_command(conditions));
  return plan;
}

}  // namespace cbuild::sandbox::setup
