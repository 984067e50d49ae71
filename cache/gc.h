// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"

namespace cbuild::cache {

/// What takes room. Sizes are real blocks.
struct Usage {
  struct Item {
    std::string kind;  ///< "layer", "blob", "cachemount", "scan" (what is remembered of a context), "tmp"
    std::string id, description;
    std::uint64_t bytes = 0;
    std::int64_t created_ns = 0, last_used_ns = 0;
    bool in_use = false, shared = false;
  };
  std::vector<Item> items;
  std::uint64_t total_bytes = 0, reclaimable_bytes = 0;
};
Usage disk_usage(Store& store);

struct PruneOptions {
  bool all = false;  ///< also what a named image needs
  std::optional<std::int64_t> unused_for_ns;
  std::optional<std::uint64_t> max_used_bytes, min_free_bytes, reserved_bytes;
  std::vector<std::string> kinds;  ///< empty: all
};
/// Removes unleased items, least recently used first, children before parents, until the limits hold; leaves
/// tombstones. Returns what was removed. Takes nothing that a live build pinned, an ancestor of that, or a
/// cache mount in use; without any limit, everything else.
std::vector<Usage::Item> prune(Store& store, const PruneOptions& options);

/// The reference builder's default rules, to be given to prune() one after the other: throw-away things
/// unused for 48 hours, anything unused for 60 days, then what is over the cap: what no named image needs
/// first. Cap min(80% of the disk, 100 GB), 20% of the disk free, but never below min(10%, 10 GB).
std::vector<PruneOptions> default_limits(Store& store);

/// Whether default_limits() should be applied now: the disk is short, the store is over its cap, or a day has
/// passed. One statvfs, one stat, one sum.
bool gc_is_due(Store& store);

/// Removes what dead processes left in tmp/ and leases/. Cheap; called once per build that runs something.
void sweep_leftovers(Store& store);

}  // namespace cbuild::cache
