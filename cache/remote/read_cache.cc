// SPDX-License-Identifier: Apache-2.0
// From the name of a cache to its index: through image indexes down to a manifest, whose config is the index itself or
// an image that carries one.
#include "cache/remote/read_cache.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "oci/image_config.h"

namespace cbuild::cache {
namespace {

constexpr unsigned kMaxIndexDepth = 4;
constexpr std::string_view kBuildkitCacheType = "application/vnd.buildkit.cacheconfig.";
constexpr char kBuildkitInlineKey[] = "moby.buildkit.cache.v0";

/// An inline index names layers by diff id only; the image's manifest says where they are.
void fill_blobs(RemoteIndex& index, const oci::ImageConfig& config, const oci::Manifest& manifest) {
  const std::size_t count = std::min(config.diff_ids.size(), manifest.layers.size());
  for (RemoteIndex::LayerEntry& layer : index.layers) {
    if (!layer.blob.digest.empty()) continue;
    for (std::size_t i = 0; i < count; ++i)
      if (config.diff_ids[i] == layer.diff_id) layer.blob = manifest.layers[i];
  }
}

RemoteIndex index_in(CacheBackend& backend, const oci::Manifest& manifest) {
  const std::string text = backend.document(manifest.config);
  if (manifest.config.media_type == kRemoteIndexType) return parse_remote_index(text);
  const oci::ImageConfig config = oci::parse_image_config(text);
  const auto inline_cache = config.extra.find(kInlineCacheKey);
  if (inline_cache == config.extra.end() && config.extra.contains(kBuildkitInlineKey))
    throw Error(ErrorCode::unsupported, "the image carries a cache of BuildKit, which cbuild does not read");
  if (inline_cache == config.extra.end()) throw Error(ErrorCode::not_found, "the image carries no cache");
  RemoteIndex index = parse_remote_index(inline_cache->second);
  fill_blobs(index, config, manifest);
  return index;
}

/// From the document that the name gave, the cache of one image of an index.
RemoteDocument read_below(CacheBackend& backend, std::string body, const oci::Platform& platform) {
  for (unsigned depth = 0; depth < kMaxIndexDepth; ++depth) {
    const auto document = oci::parse_manifest(body);
    if (is_buildkit_cache(document))
      throw Error(ErrorCode::unsupported, "it is a cache of BuildKit, which cbuild does not read")
          .with_hint("export one with cbuild build --cache-to, under a name of its own");
    if (const auto* manifest = std::get_if<oci::Manifest>(&document)) {
      const bool own = depth == 0 && manifest->config.media_type == kRemoteIndexType;
      return {index_in(backend, *manifest), backend.locator(), own ? body : std::string()};
    }
    const oci::Descriptor* chosen = oci::select_platform(std::get<oci::Index>(document), platform);
    if (chosen == nullptr) throw Error(ErrorCode::not_found, cat("no image for platform ", platform.str()));
    body = backend.manifest(chosen->digest);
  }
  throw Error(ErrorCode::corrupt, "indexes nested too deeply");
}

}  // namespace

bool is_buildkit_cache(const std::variant<oci::Manifest, oci::Index>& document) {
  const auto is_config = [](const oci::Descriptor& entry) { return entry.media_type.starts_with(kBuildkitCacheType); };
  if (const auto* manifest = std::get_if<oci::Manifest>(&document)) return is_config(manifest->config);
  const std::vector<oci::Descriptor>& entries = std::get<oci::Index>(document).manifests;
  return std::any_of(entries.begin(), entries.end(), is_config);
}

RemoteDocument read_cache(CacheBackend& backend, const std::vector<oci::Platform>& platforms) {
  const std::string top = backend.manifest(std::nullopt);
  if (platforms.size() == 1 || std::holds_alternative<oci::Manifest>(oci::parse_manifest(top)))
    return read_below(backend, top, platforms.front());
  RemoteIndexBuilder all;
  std::optional<Error> missing;
  bool found = false;
  for (const oci::Platform& platform : platforms) {
    try {
      all.merge(read_below(backend, top, platform).index, {.since_day = std::numeric_limits<std::int64_t>::min()});
      found = true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      missing = error;
    }
  }
  if (!found) throw Error(*missing);
  return {all.take(), backend.locator()};
}

}  // namespace cbuild::cache
