// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "cache/remote_index.h"
#include "cache/store.h"

namespace cbuild::cache {

/// A cache mount that exists here.
struct CacheMountInfo {
  std::string id;   ///< as in RUN --mount=type=cache,id=
  std::string key;  ///< the same on every machine for the same id, owner, mode and initial content
};

/// CacheMountInfo::key of a mount that is shared or locked.
std::string cache_mount_key(const std::string& id, const Digest& base);

/// All of them, by id.
std::vector<CacheMountInfo> cache_mounts(Store& store);

/// Packs a cache mount as a zstd layer into the store's blobs. nullopt, with `why_not`, if it is larger than
/// `max_bytes` on disk, in exclusive use, or gone. What changes while it is read is taken as it is found.
std::optional<RemoteIndex::MountEntry> pack_cache_mount(Store& store, const CacheMountInfo& mount,
                                                        std::uint64_t max_bytes, const CancelSource* cancel,
                                                        std::string& why_not);

/// Unpacks what pack_cache_mount() made, from the store's blobs into an empty directory. Throws Error{corrupt}.
void unpack_cache_mount(Store& store, const Layer& packed, int directory, const CancelSource* cancel);

}  // namespace cbuild::cache
