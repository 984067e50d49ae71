// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/digest.h"
#include "cache/content/tree.h"

namespace cbuild::solver::ops {

/// When a step ran, and its root before.
struct RunTimes {
  std::int64_t began_ns = 0, ended_ns = 0;
  /// Gives the root it ran on, or nullptr for an empty one. Asked only for a time outside of the run; not set: empty.
  std::function<const cache::TreeView*()> base = {};
};

/// Content digest of the raw changes in an overlay upper directory, its root included: names, types, modes, owners,
/// link targets, devices (so whiteouts count), hard links, overlay's opaque mark, capabilities, ACLs, user.* and
/// trusted.* xattrs, content. Of modification times those count that the step set: times outside of its run, unless the
/// base has the same time at the same path (a file that was touched without being changed keeps it). Two runs of a step
/// that made the same changes have the same digest, and their readers need not run again. nullopt when the tree holds
/// more than `max_bytes` of data or `max_entries` entries: then hashing would cost more than it is likely to save.
std::optional<Digest> layer_identity(int tree_fd, const RunTimes& times, std::uint64_t max_bytes,
                                     std::uint64_t max_entries);

}  // namespace cbuild::solver::ops
