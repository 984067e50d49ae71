// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"

namespace cbuild::cache {

/// The items that take room. Sizes are real blocks.
struct Usage {
  struct Item {
    /// "layer", "blob", "cachemount", "scan" (the stat table of a context), "log" (the output of the steps of a build),
    /// "index" (of another version of cbuild, or put aside), "tmp"
    std::string kind;
    std::string id, description;
    std::uint64_t bytes = 0;
    std::int64_t created_ns = 0, last_used_ns = 0;
    bool in_use = false;     ///< a live build or another item in use needs it
    bool shared = false;     ///< a named image needs it
    bool fetchable = false;  ///< a registry has it: it comes back by itself when it is needed
    /// A prune without words leaves it: the log of a build in the history, which goes by age, by size or when its type
    /// is asked for; the index of another version, which goes by age or when its type is asked for.
    bool kept_apart = false;
    std::string parent;  ///< of a layer: the one it stands on, if there is just one
    std::string why;     ///< of a removed item: the rule that took it

    bool is_mutable() const { return kind != "layer" && kind != "blob"; }
    /// By a prune without more words.
    bool is_reclaimable() const { return !in_use && !shared && !kept_apart; }
  };
  std::vector<Item> items;
  std::uint64_t total_bytes = 0, reclaimable_bytes = 0;
};
Usage disk_usage(Store& store);

struct PruneOptions {
  bool all = false;        ///< also the content of named images; images that have lost something are forgotten
  bool fetchable = false;  ///< also the content of named images, as far as a registry has it; the names stay
  std::optional<std::int64_t> unused_for_ns;
  std::optional<std::uint64_t> max_used_bytes, min_free_bytes, reserved_bytes;
  std::vector<std::string> kinds;                  ///< empty: all
  std::function<bool(const Usage::Item&)> wanted;  ///< one more condition; not set: all
  bool dry_run = false;                            ///< only report the items that would go
  bool wait = true;                                ///< for another gc to end; else nothing is done while one runs
};
/// Removes unleased items, least recently used first, children before parents, until the limits hold; leaves
/// tombstones. Returns the removed items, with the reason. Takes nothing that a live build pinned, an ancestor of that,
/// or a cache mount in use; without any limit, everything else. Works on a full disk: then files go before the index
/// says so, which makes their results misses in between.
std::vector<Usage::Item> prune(Store& store, const PruneOptions& options);

/// BuildKit's default rules, to be given to prune() one after the other: throw-away things unused for 48 hours,
/// anything unused for 60 days, then items over the cap: first those that no named image needs, then those of a named
/// image that a registry has. Cap min(80% of the disk, 100 GB), 20% of the disk free, but never below min(10%, 10 GB).
/// No rule takes a part of a named image that only this store has.
std::vector<PruneOptions> default_limits(Store& store);

/// default_limits() if they are due, and nothing else; for the end of a build that made something.
std::vector<Usage::Item> collect_if_due(Store& store);

/// Whether default_limits() should be applied now: the disk is short, the store (with its logs) is over its cap, or a
/// day has passed; but not within a minute of the last time. One statvfs, one stat, one sum.
bool gc_is_due(Store& store);

/// Removes leftovers of dead processes from tmp/ and leases/. Cheap; called once per build that runs something.
void clean_up_leftovers(Store& store);

}  // namespace cbuild::cache
