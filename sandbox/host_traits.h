// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox {

/// The features of this machine, found out by trying and by reading; some 0.1 ms.
setup::HostTraits detect_host_traits();

/// What of `hierarchies` a step on a machine with version 1 sees, as runc shows it: each at the last part of its mount
/// point; the one of version 2 of a hybrid machine, which has no controllers, is left out.
std::vector<setup::CgroupMount> cgroups_to_show(const std::vector<CgroupHierarchy>& hierarchies);

/// How many loop devices exist, with a few free ones, as an insecure step of BuildKit gets them.
int count_loop_devices();

/// The nearest directory that holds both an upper and a work directory, and their names in it. They have to
/// come from one mount, so where they must be bound again they are bound together. Throws Error if the names
/// do not lead back to them.
struct LayerBase {
  UniqueFd fd;
  std::string upper_name, work_name;
};
LayerBase find_layer_base(int upper_fd, int work_fd);

}  // namespace cbuild::sandbox
