// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <variant>
#include <vector>

#include "cache/remote/backend.h"
#include "cache/remote/remote_cache.h"
#include "oci/manifest.h"
#include "oci/platform.h"

namespace cbuild::cache {

/// Whether a manifest or index is a cache that BuildKit exported.
bool is_buildkit_cache(const std::variant<oci::Manifest, oci::Index>& document);

/// Reads the cache at `backend`: a cache's manifest, or an image that carries its cache; of an index those for
/// `platforms`, as one. Throws Error{not_found} if there is neither, {unsupported} for a cache of BuildKit, {corrupt}
/// for a damaged one.
RemoteDocument read_cache(CacheBackend& backend, const std::vector<oci::Platform>& platforms);

}  // namespace cbuild::cache
