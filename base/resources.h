// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cbuild {

/// Limits of a step; 0 and "": none. See `man 7 cgroups`.
struct Resources {
  std::int64_t memory_bytes = 0;
  std::int64_t memory_swap_bytes = 0;  ///< memory and swap together; -1: any amount of swap
  std::uint64_t cpu_shares = 0;        ///< weight, 1024 is the usual one
  std::int64_t cpu_period_us = 0, cpu_quota_us = 0;
  std::string cpuset_cpus, cpuset_mems;

  bool operator==(const Resources&) const = default;
};

/// Adds "KEY=VALUE[,KEY=VALUE...]" of --resource (memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus,
/// cpuset-mems; the meaning is that of `docker run`'s flags of these names). Throws Error{usage} with a suggestion for
/// unknown keys.
void add_resources(const std::string& text, Resources& resources);

/// The limits that keep both: the lower of each two. A list of processors or memory nodes is that of `bound` if it has
/// one.
Resources stricter(const Resources& own, const Resources& bound);

/// The limits that each of the two keeps: the higher of each two, and none where one of them has none.
Resources looser(const Resources& one, const Resources& other);

}  // namespace cbuild
