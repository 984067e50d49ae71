// SPDX-License-Identifier: Apache-2.0
// One command in a sandbox as plain values: the root, mounts, identity, limits. It names no store and no image, only
// open directories, so a planner (setup_plan.cc) can turn it into steps and tests can print it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/process_values.h"
#include "base/resources.h"
#include "sandbox/confine/security.h"

namespace cbuild::sandbox {

/// How much of the kernel's isolation this machine lets us use; the ladder of docs/security.md.
enum class Mode {
  root,            ///< root with CAP_SYS_ADMIN: all namespaces but the user one
  user_namespace,  ///< unprivileged, with id ranges from /etc/subuid and /etc/subgid or a single id
  masked_proc,     ///< user namespace without an own /proc (inside most containers)
  chroot,          ///< root without namespaces: chroot on a copy
  none,            ///< no way to run a command
};
std::string_view to_string(Mode mode);

/// An entry of the extra top lower layer: mount targets are made there, so that the upper directory never sees them.
struct SkeletonEntry {
  std::string path;  ///< relative to the root, parents before children
  bool directory = true;
  mode_t mode = 0755;
  uid_t uid = 0;
  gid_t gid = 0;
  std::int64_t mtime_ns = 0;

  bool operator==(const SkeletonEntry&) const = default;
};

/// Where a bind's content comes from. Descriptors are borrowed until run() returns.
struct BindSource {
  int fd = -1;  ///< O_PATH descriptor of the file or directory to bind (opened by the caller with openat2)
};
/// A read-only merged tree: overlay of these lower directories, topmost first (one entry: a plain bind of it). `path`
/// inside it is resolved in-root after mounting.
struct OverlaySource {
  std::vector<int> lower_fds;
  std::string path;
  bool writable = false;  ///< with a throw-away upper on tmpfs
};
struct TmpfsSource {
  std::uint64_t size_bytes = 0;
  mode_t mode = 01777;
};
/// A small file given by value (secret, resolv.conf); lives on a tmpfs, never on disk.
struct ContentSource {
  std::string content;
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0400;
};

struct Mount {
  std::string target;  ///< absolute, inside the root; its last part must exist or be in the skeleton
  std::variant<BindSource, OverlaySource, TmpfsSource, ContentSource> source;
  bool read_only = false, no_suid = false, no_dev = false, no_exec = false;
};

struct DeviceNode {
  std::string path;  ///< in the step, below /dev
  char type = 'c';   ///< 'c', 'b' or 'p'
  std::uint32_t major = 0, minor = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string host_path = {};              ///< where the machine has it, if elsewhere
  bool may_read = true, may_write = true;  ///< access that the device cgroup gives to the step

  bool operator==(const DeviceNode&) const = default;
};
/// One command to run in a fresh root. Plain data; descriptors are borrowed until run() returns.
struct Spec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< complete; nothing is inherited
  std::string working_dir = "/";         ///< created 0755 for the user if missing
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  std::string hostname = "buildkitsandbox";

  std::vector<int> lower_fds;           ///< topmost first; directories of the layers below (none: empty root)
  int upper_fd = -1;                    ///< receives the changes
  int work_fd = -1;                     ///< overlay work directory on the same file system
  int skeleton_fd = -1;                 ///< directory to put above all lowers; -1: none
  std::vector<Mount> mounts;            ///< in order, parents first
  std::string hosts_file, resolv_conf;  ///< content bound over /etc/hosts and /etc/resolv.conf; empty: left alone

  NetworkMode network = NetworkMode::host;
  int network_fd = -1;    ///< a network namespace to enter; -1: as `network` says
  bool insecure = false;  ///< RUN --security=insecure: all capabilities, no seccomp, no masks
  confine::Security security;
  std::uint64_t shm_size = 64u << 20;
  std::vector<Ulimit> ulimits;
  std::vector<DeviceNode> devices;
  std::string cgroup_parent;
  int stdin_fd = -1;     ///< what the command reads; -1: /dev/null
  int terminal_fd = -1;  ///< becomes the command's controlling terminal and its standard streams; -1: it has none
  Resources resources;   ///< needs a machine whose cgroups this process may use
  std::optional<std::int64_t> timeout_ns;
  /// Not empty: `argv` is that of an OCI runtime, which runs on the machine's own root. For it the step's root is put
  /// at "rootfs" of this directory, and its mounts at "mounts/0" and so on; both names are there. All else is in the
  /// config.json that whoever asks has written.
  std::string bundle;
};

/// The mount targets and files that every step gets in addition to Spec::mounts; the skeleton must hold those that the
/// image lacks. Pairs of path and "is a directory".
const std::vector<std::pair<std::string, bool>>& standard_targets();

}  // namespace cbuild::sandbox
