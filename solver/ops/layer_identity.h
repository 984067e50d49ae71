// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/digest.h"

namespace cbuild::solver::ops {

/// Content digest of the raw changes in an overlay upper directory: names, types, modes, owners, link targets, devices
/// (so whiteouts count), overlay's opaque mark, security.capability and user xattrs, content; no times. Two runs of a
/// step that made the same changes have the same digest, and what reads them need not run again. nullopt when the tree
/// holds more than `max_bytes` of data or `max_entries` entries: then hashing would cost more than it is likely to
/// save.
std::optional<Digest> layer_identity(int tree_fd, std::uint64_t max_bytes, std::uint64_t max_entries);

}  // namespace cbuild::solver::ops
