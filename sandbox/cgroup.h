// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "sandbox/spec.h"
#include "sandbox/wire.h"

namespace cbuild::sandbox {

/// One mounted cgroup hierarchy and this process's place in it.
struct CgroupHierarchy {
  std::vector<std::string> controllers;  ///< of v1; empty for v2
  std::string mount_point;
  std::string own_directory;  ///< absolute path
  bool unified = false;

  bool operator==(const CgroupHierarchy&) const = default;
};

/// Matches /proc/self/mountinfo with /proc/self/cgroup. Hierarchies that are not mounted, or of which this
/// process sees only a part it is not in, are left out.
std::vector<CgroupHierarchy> parse_hierarchies(std::string_view mountinfo, std::string_view self_cgroup);

/// The number after "oom_kill " in memory.events, memory.oom_control or vmstat.
std::optional<std::uint64_t> parse_oom_kills(std::string_view text);

/// Puts what a control file of this name says of a group into `use`: cpu.stat, memory.peak and io.stat of v2,
/// cpuacct.usage_user, cpuacct.usage_sys, memory.max_usage_in_bytes and blkio.throttle.io_service_bytes of v1. A text
/// without the numbers changes nothing.
void add_cgroup_use(std::string_view file, std::string_view text, ResourceUse& use);

/// Decides into which cgroups steps go: one that lets them open only harmless devices, shared by all steps
/// with the same devices (so it costs a step nothing), or, where Spec::cgroup_parent or Spec::resources ask for
/// it, one of its own. Belongs to the zygote. All it made is removed by release() and by the destructor.
class CgroupPlacer {
 public:
  /// Nothing is made before the first place().
  CgroupPlacer(Mode mode, wire::DeviceControl control);
  CgroupPlacer(const CgroupPlacer&) = delete;
  CgroupPlacer& operator=(const CgroupPlacer&) = delete;
  ~CgroupPlacer();

  /// Whether a device cgroup guards the steps; without it their mounts have to be nodev.
  bool controls_devices();

  struct Placement {
    int cgroup_fd = -1;          ///< v2 directory to be cloned into; borrowed
    std::vector<int> procs_fds;  ///< v1: where the child writes itself; borrowed
    std::vector<UniqueFd> owned;
    std::vector<std::string> directories;  ///< of this step alone
    UniqueFd oom_file;
    std::uint64_t oom_kills = 0;    ///< when the step began
    bool counts_own_kills = false;  ///< oom_file is of this step alone
  };
  /// Throws Error if cgroup_parent cannot be used or resources not be limited.
  Placement place(const Spec& spec, std::uint64_t step_id);
  /// After the last process of the step is gone. True if the kernel killed something in it because
  /// memory ran out. `use` gets the numbers of the step's own groups, where it has some.
  bool release(Placement placement, ResourceUse& use);

 private:
  struct Group {
    std::string directory;
    UniqueFd fd;     ///< locked: tells other builds that its owner lives
    UniqueFd procs;  ///< v1 only
  };
  const Group* group_for(const Spec& spec);
  std::optional<Group> make_group(const Spec& spec, const std::string& name);
  void note_parent(const std::string& directory);
  void place_in_own_group(const Spec& spec, const std::string& name, Placement& placement);
  void expect_groups_of_runtime(const Spec& spec, Placement& placement);
  void limit(const CgroupHierarchy& hierarchy, const Spec& spec, int directory,
             std::vector<std::string_view>& unlimited) const;
  UniqueFd open_oom_file(const std::vector<std::string>& step_directories, bool& is_own) const;
  const CgroupHierarchy* unified() const;
  const CgroupHierarchy* with_controller(std::string_view controller) const;

  const Mode mode_;
  const wire::DeviceControl control_;
  std::string unique_;  ///< part of the names of all it makes
  std::vector<CgroupHierarchy> hierarchies_;
  std::map<std::string, Group> groups_;  ///< by their extra devices
  std::set<std::string> parents_;        ///< directories in which steps got groups of their own
  bool tried_ = false;
};

}  // namespace cbuild::sandbox
