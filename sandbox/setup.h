// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sandbox/confine/labels.h"
#include "sandbox/spec.h"

/// The set-up of a cloned child before it becomes the step's command, as a list of data: built by a pure function,
/// printed and tested without privileges, carried out by run_setup() with async-signal-safe calls only.
///
/// The order has two halves, because the kernel takes a directory as an overlay layer or as the source of a
/// bind only in the mount namespace it was opened in. So mount trees are first made detached, in the caller's
/// namespace, into numbered slots; then the child enters its own namespace (a copy of a small template, not
/// of the machine's mount table) and attaches them.
namespace cbuild::sandbox::setup {

/// Index of a detached mount in the child's table.
using Slot = std::size_t;
constexpr Slot kRootSlot = 0;

/// MOUNT_ATTR_* bits.
using Attributes = std::uint64_t;

struct JoinCgroups {
  std::vector<int> procs_fds;
};
/// Own session, own standard streams, default signals, dies with its parent.
struct NewSession {
  int stdin_fd = -1, terminal_fd = -1;  ///< as of the spec
};

struct OverlayTree {
  Slot slot = 0;
  std::vector<int> lowers;  ///< topmost first
  int upper = -1, work = -1;
  Attributes attributes = 0;
  bool user_xattr = false;
  std::string context;  ///< the SELinux label of all its files; empty: each has its own
};
/// Makes the layers of a later OverlayInPlace into trees: slots [first_slot, first_slot + lowers) and, if
/// `base` >= 0, one more.
struct CloneLayers {
  Slot first_slot = 0;
  std::vector<int> lowers;
  int base = -1;  ///< directory that holds both the upper and the work directory
};
/// `fd`, or a path of the machine where `fd` is negative.
struct CloneTree {
  Slot slot = 0;
  int fd = -1;
  std::string host_path;
  Attributes attributes = 0;
  bool optional = false;
};

/// A copy of the template; with `own_cgroup` also a cgroup namespace, made here because clone3 would root it
/// at the parent's.
struct EnterMountNamespace {
  bool own_cgroup = false;
};
/// mount(2) over the short relative names of layers attached to a private tmpfs: kernels before 6.5, and
/// uppers on tmpfs.
struct OverlayInPlace {
  Slot slot = 0;
  Slot first_slot = 0;
  std::size_t lowers = 0;
  std::string upper, work;  ///< relative to the base; empty: a throw-away upper on the tmpfs
  bool has_base = false, read_only = false;
  Attributes attributes = 0;
  bool user_xattr = false;
};
struct AttachRoot {};
/// Replaces the tree by a copy of a path inside it, resolved in-root.
struct SelectPath {
  Slot slot = 0;
  std::string path;
};
/// Targets are resolved in the root. Missing last parts are made if they lie inside an earlier mount, never
/// in the root itself.
struct AttachTree {
  Slot slot = 0;
  std::string target;
  bool optional = false;
};
struct MountFileSystem {
  std::string type, target;
  Attributes attributes = 0;
  std::vector<std::pair<std::string, std::string>> options;
  bool optional = false;
};
/// A hierarchy of control groups as a step sees it. Mounted in the step's cgroup namespace, it shows the step's group.
struct CgroupMount {
  std::string name;  ///< below /sys/fs/cgroup; empty: version 2, which is all of it
  std::vector<std::pair<std::string, std::string>> options;  ///< the controllers, which tell the hierarchies apart

  bool operator==(const CgroupMount&) const = default;
};
constexpr std::size_t kMostCgroups = 32;  ///< more than Linux has controllers
/// /sys/fs/cgroup. `optional`: where the hierarchies cannot be mounted, what lies there stays.
struct MountCgroups {
  std::vector<CgroupMount> hierarchies;
  Attributes attributes = 0;
  bool optional = false;
};
struct MakeDirectory {
  std::string path;
  mode_t mode = 0755;
};
struct MakeFile {
  std::string path;
};
struct MakeLink {
  std::string path, to;
};
struct MakeNode {
  DeviceNode node;
};
/// A private tmpfs for files given by value.
struct ContentStore {};
struct AttachContent {
  ContentSource file;
  std::string target;
  Attributes attributes = 0;
};
struct Mask {
  std::string path;
};
struct ReadOnly {
  std::string path;
};
/// Asks for the label of the command, through the machine's own /proc.
struct WriteLabel {
  confine::LabelWrite write;
};
struct PivotRoot {};
struct ChangeRoot {
  int fd = -1;
};

/// For an OCI runtime, which needs names of the machine: an own mount namespace that has all of the machine's mounts,
/// none of which come from or go to another, and a /proc of the own pid namespace.
struct PrivateMounts {};
/// Attaches a tree at a name of the machine, which is made as the tree is, directory or file.
struct AttachByName {
  Slot slot = 0;
  std::string path;
};
/// The same for a file given by value.
struct AttachContentByName {
  ContentSource file;
  std::string path;
};

struct LoopbackUp {};
/// Before file systems are mounted: sysfs shows the devices of the namespace it is mounted in.
struct EnterNetwork {
  int fd = -1;
};
struct SetHostname {
  std::string name;
};
struct LimitResource {
  int resource = 0;
  std::uint64_t soft = 0, hard = 0;
  std::string warning;  ///< written to the step's stderr when the limit is higher than this process may set
};
struct ProcessDefaults {};  ///< umask 022, resource limits as the caller had them
struct CloseDescriptors {};
struct EnterDirectory {
  std::string path;
  uid_t uid = 0;
  gid_t gid = 0;
};
struct NewKeyring {};
struct BoundCapabilities {
  std::uint64_t keep = 0;
  bool required = true;
};
struct NoNewPrivileges {};
struct FilterSystemCalls {
  bool required = true;
};
struct SetIds {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool may_set_groups = true;
};
struct SetCapabilities {
  std::uint64_t keep = 0;
  bool inherit = false;
};
struct Execute {
  std::vector<std::string> argv, environment;
  std::vector<std::string> candidates;  ///< argv[0] in each directory of PATH; empty if argv[0] holds a slash
};

using Operation =
    std::variant<JoinCgroups, NewSession, OverlayTree, CloneLayers, CloneTree, EnterMountNamespace, OverlayInPlace,
                 AttachRoot, SelectPath, AttachTree, MountFileSystem, MountCgroups, MakeDirectory, MakeFile, MakeLink,
                 MakeNode, ContentStore, AttachContent, Mask, ReadOnly, WriteLabel, PivotRoot, ChangeRoot,
                 PrivateMounts, AttachByName, AttachContentByName, LoopbackUp, EnterNetwork, SetHostname,
                 ProcessDefaults, LimitResource, CloseDescriptors, EnterDirectory, NewKeyring, BoundCapabilities,
                 NoNewPrivileges, FilterSystemCalls, SetIds, SetCapabilities, Execute>;

/// Facts about the machine for the planner; found out once by the zygote. The defaults describe a current kernel.
struct HostTraits {
  bool layers_by_fsconfig = true;  ///< overlay takes lowerdir+ (6.5 and later)
  bool cgroup_namespaces = false;
  std::vector<CgroupMount> cgroups;  ///< the mounted hierarchies; of a hybrid machine those of version 1
  bool device_control = true;        ///< a device cgroup stops opens of disks; without it mounts are nodev
  bool tty_group_mapped = true;      ///< gid 5 exists in this user namespace
  bool may_set_groups = true;
  confine::LabelSupport labels;
  std::vector<std::string> thermal_paths;  ///< /sys/devices/system/cpu/cpu*/thermal_throttle
  int loop_devices = 8;                    ///< how many an insecure step sees
  // Of one step, not of the machine:
  std::vector<int> cgroup_procs;  ///< written to by the child to join
  int layer_base = -1;            ///< see CloneLayers::base
  std::string upper_name, work_name;
};

struct OperationList {
  std::vector<Operation> operations;
  std::uint64_t namespaces = 0;  ///< CLONE_NEW* of the child; its mount and cgroup namespaces are made later
  Slot slots = 0;
};

/// Throws Error{input or unsupported} for a spec that no machine, or this mode, can carry out.
OperationList make_plan(const Spec& spec, Mode mode, const HostTraits& traits);
/// Throws as make_plan() does; cheap.
void validate(const Spec& spec, Mode mode);

/// Throws Error{input} for an unknown name or an impossible value.
LimitResource limit_step(const Ulimit& limit);

/// "mount proc on /proc", for errors and listings.
std::string describe(const Operation& operation);

/// The paths of /proc and /sys that a step sees nothing of, and those that it cannot write to.
std::span<const char* const> masked_paths();
std::span<const char* const> read_only_paths();

}  // namespace cbuild::sandbox::setup
