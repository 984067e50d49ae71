// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "cache/cache_mounts.h"
#include "cache/remote/remote_index.h"
#include "cache/store.h"

namespace cbuild::cache {

/// Packs a cache mount as a zstd layer into the store's blobs. nullopt, with `why_not`, if it is larger than
/// `max_bytes` on disk, in exclusive use, or gone. A file that changes while it is read is taken as it is found.
std::optional<RemoteIndex::MountEntry> pack_cache_mount(Store& store, const CacheMountInfo& mount,
                                                        std::uint64_t max_bytes, const CancelSource* cancel,
                                                        std::string& why_not);

/// Unpacks a blob made by pack_cache_mount() from the store into an empty directory. Throws Error{corrupt}.
void unpack_cache_mount(Store& store, const Layer& packed, int directory, const CancelSource* cancel);

}  // namespace cbuild::cache
