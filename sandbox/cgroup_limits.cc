// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cgroup_limits.h"

#include "base/text.h"

namespace cbuild::sandbox {
namespace {

constexpr std::int64_t kDefaultPeriodUs = 100'000;

/// Version 1 weighs in shares of 2 to 262144, version 2 in weights of 1 to 10000.
std::uint64_t weight_of(std::uint64_t shares) { return 1 + (shares - 2) * 9'999 / 262'142; }

std::vector<CgroupSetting> settings_v1(const Resources& r) {
  std::vector<CgroupSetting> out;
  const auto add = [&](bool given, std::string_view controller, std::string_view file, auto value) {
    if (given) out.push_back({controller, file, cat(value)});
  };
  add(r.memory_bytes > 0, "memory", "memory.limit_in_bytes", r.memory_bytes);
  add(r.memory_swap_bytes != 0, "memory", "memory.memsw.limit_in_bytes", r.memory_swap_bytes);
  add(r.cpu_shares > 0, "cpu", "cpu.shares", r.cpu_shares);
  add(r.cpu_period_us > 0, "cpu", "cpu.cfs_period_us", r.cpu_period_us);
  add(r.cpu_quota_us > 0, "cpu", "cpu.cfs_quota_us", r.cpu_quota_us);
  add(!r.cpuset_cpus.empty(), "cpuset", "cpuset.cpus", r.cpuset_cpus);
  add(!r.cpuset_mems.empty(), "cpuset", "cpuset.mems", r.cpuset_mems);
  return out;
}

std::vector<CgroupSetting> settings_v2(const Resources& r) {
  std::vector<CgroupSetting> out;
  if (r.memory_bytes > 0) out.push_back({"memory", "memory.max", cat(r.memory_bytes)});
  if (r.memory_swap_bytes < 0) out.push_back({"memory", "memory.swap.max", "max"});
  if (r.memory_swap_bytes > 0) out.push_back({"memory", "memory.swap.max", cat(r.memory_swap_bytes - r.memory_bytes)});
  if (r.cpu_shares > 0) out.push_back({"cpu", "cpu.weight", cat(weight_of(r.cpu_shares))});
  if (r.cpu_period_us > 0 || r.cpu_quota_us > 0)
    out.push_back({"cpu", "cpu.max",
                   cat(r.cpu_quota_us > 0 ? cat(r.cpu_quota_us) : "max", " ",
                       r.cpu_period_us > 0 ? r.cpu_period_us : kDefaultPeriodUs)});
  if (!r.cpuset_cpus.empty()) out.push_back({"cpuset", "cpuset.cpus", r.cpuset_cpus});
  if (!r.cpuset_mems.empty()) out.push_back({"cpuset", "cpuset.mems", r.cpuset_mems});
  return out;
}

}  // namespace

std::vector<CgroupSetting> cgroup_settings(const Resources& resources, bool unified) {
  return unified ? settings_v2(resources) : settings_v1(resources);
}

}  // namespace cbuild::sandbox
