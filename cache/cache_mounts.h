// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

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

}  // namespace cbuild::cache
