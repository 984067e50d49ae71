// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "cache/remote/remote_index.h"

namespace cbuild::cache {

/// Which records and mounts of another index are taken over, by their places.
struct IndexShare {
  std::vector<bool> records, mounts;
};

/// The bytes of the blobs that lie in the cache itself, each counted once.
std::uint64_t bytes_of(const RemoteIndex& index);

/// The records and mounts of `other` that fit next to `own`, which is kept whatever it takes: those used last first.
/// The work is linear in the size of the two.
IndexShare fitting_share(const RemoteIndex& own, const RemoteIndex& other, const IndexBound& bound);

}  // namespace cbuild::cache
