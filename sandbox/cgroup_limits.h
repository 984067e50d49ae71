// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/spec.h"

namespace cbuild::sandbox {

/// One value to write into a control file of a step's own cgroup.
struct CgroupSetting {
  std::string_view controller;  ///< "memory", "cpu", "cpuset"
  std::string_view file;
  std::string value;

  bool operator==(const CgroupSetting&) const = default;
};

/// `resources` in the order in which the kernel takes them, for version 2 (`unified`) or 1. Empty: no limit.
std::vector<CgroupSetting> cgroup_settings(const Resources& resources, bool unified);

}  // namespace cbuild::sandbox
