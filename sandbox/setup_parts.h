// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mount.h>

#include <string>
#include <utility>
#include <vector>

#include "sandbox/setup.h"

/// The parts of make_plan(): each turns the conditions of a step, which are values, into setup steps, which are values.
namespace cbuild::sandbox::setup {

inline constexpr Attributes kReadOnly = MOUNT_ATTR_RDONLY, kNoSuid = MOUNT_ATTR_NOSUID, kNoDev = MOUNT_ATTR_NODEV,
                            kNoExec = MOUNT_ATTR_NOEXEC;
inline constexpr Attributes kNoSuidDevExec = kNoSuid | kNoDev | kNoExec;

/// A step to run, and where it runs.
struct Conditions {
  const Spec& spec;
  const Mode mode;
  const HostTraits& traits;
  const confine::StepLabels labels;

  bool in_user_namespace() const { return mode != Mode::root; }
  /// Nodes are made where that works and where a device cgroup decides who may open them; otherwise the
  /// machine's are bound.
  bool makes_nodes() const { return mode == Mode::root && (traits.device_control || spec.insecure); }
  Attributes device_attributes() const { return makes_nodes() ? 0 : kNoDev; }
  /// The capabilities of the command.
  std::uint64_t capabilities() const { return spec.insecure ? ~std::uint64_t{0} : spec.security.capabilities; }
  /// "context=" for a file system of the step's own, where the machine labels files.
  std::string mount_context() const { return mode == Mode::root ? labels.mount_context : std::string(); }
  Attributes attributes_of(const Mount& mount) const;
};

/// The trees of a step, made before its mount namespace is entered, because some of them are the machine's.
struct Trees {
  std::vector<Operation> operations;  ///< make them
  std::vector<Operation> in_place;    ///< overlays that have to be mounted in the step's own namespace
  std::vector<Slot> mounts;           ///< of Spec::mounts; 0 for one that needs no tree
  std::vector<std::pair<DeviceNode, Slot>> nodes;
  Slot proc = 0, sys = 0;  ///< bound ones; 0 where the step gets its own
  Slot slots = 1;          ///< how many there are; the first is the root
};
Trees build_trees(const Conditions& conditions);

/// Fills /dev. `nodes` are the bound ones of the trees.
std::vector<Operation> fill_devices(const Conditions& conditions,
                                    const std::vector<std::pair<DeviceNode, Slot>>& nodes);
/// The device nodes that every step has.
const std::vector<DeviceNode>& standard_nodes();

/// argv[0] in each directory of the step's PATH; none if it holds a slash.
std::vector<std::string> path_candidates(const Spec& spec);

/// From a finished root to the running command: limits, ids, capabilities, system calls.
std::vector<Operation> become_command(const Conditions& conditions);

}  // namespace cbuild::sandbox::setup
