// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "cache/store.h"

/// Layers of remote caches in a store. The other side may drop layers that the store only knows of, so they come with a
/// way to be forgotten, after which the steps that made them are misses.
namespace cbuild::cache {

/// Locators (Layer::fetch_from) of layers from a remote cache begin with this; the rest is an image's.
inline constexpr std::string_view kCacheOrigin = "cache+";

/// Whether a layer came from a remote cache, which may lose it: unlike a base's, it can be made again.
bool is_from_cache(const Layer& layer);

/// add_claimed_layer() for a layer that is_from_cache(): one with its diff id that is here, whatever its blob, is the
/// layer, and what a base has is left to it. Returns the id under which it is known.
Digest add_cached_layer(Store& store, const Layer& layer);
/// A remote cache said, in this process, that a base has this layer: if that turns out wrong, the cache's word is
/// forgotten like a layer of its own.
void note_cache_claim(Store& store, const Digest& layer);

/// A layer whose content is not available any more. It is forgotten with all chains and records it is in, and
/// is_missing_layer() is true of it in this process. An `origin` that is given is not asked for other layers either.
void forget_missing_layer(Store& store, const Digest& layer, const std::string& origin = {});
bool is_missing_layer(Store& store, const Digest& layer_or_diff_id);
bool is_missing_origin(Store& store, const std::string& origin);

}  // namespace cbuild::cache
