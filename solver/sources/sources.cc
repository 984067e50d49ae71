// SPDX-License-Identifier: Apache-2.0
#include "solver/sources/sources.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/claimed_layer.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace cbuild::solver::ops {

cache::LocalTree& LocalTrees::tree(const LocalSource& source) {
  const std::string key = cat(source.path, '\n', join(source.ignore, "\n"));
  const std::lock_guard lock(mutex_);
  if (const auto known = trees_.find(key); known != trees_.end()) return *known->second;
  try {
    // Made before it is entered: a pattern of the ignore file may be malformed.
    auto tree = std::make_unique<cache::LocalTree>([this] { return store_.scans_fd(); }, source.path, source.ignore);
    return *trees_.emplace(key, std::move(tree)).first->second;
  } catch (Error& error) {
    if (error.code() == ErrorCode::input) error.add_context(cat("ignore file of ", source.path));
    throw;
  }
}

void LocalTrees::save() noexcept {
  const std::lock_guard lock(mutex_);
  for (auto& [key, tree] : trees_) tree->save();
}

namespace {

struct BaseLayer {
  Digest id;
  bool known = false;  ///< to the store, before
};

BaseLayer base_layer(cache::Store& store, const std::string& locator, const Digest& diff_id,
                     const oci::Descriptor& blob) {
  const Digest claim = cache::claim_id(diff_id, blob);
  const bool claimed_before = store.layer(claim).has_value();
  cache::Layer layer;
  layer.diff_id = diff_id;
  layer.blob = blob;
  layer.fetch_from = locator;
  layer.description = cat("layer of ", locator);
  const Digest id = cache::add_claimed_layer(store, layer);
  return {id, claimed_before || id != claim};
}

}  // namespace

Outcome image_result(cache::Store& store, const ImageSource& image) {
  const auto document = oci::parse_manifest(oci::read_blob(store.blobs(), image.manifest));
  const auto* manifest = std::get_if<oci::Manifest>(&document);
  if (manifest == nullptr)
    throw Error(ErrorCode::corrupt, cat(image.locator, ": an index where a manifest was expected"));
  const oci::ImageConfig config = oci::parse_image_config(oci::read_blob(store.blobs(), manifest->config.digest));
  if (config.diff_ids.size() != manifest->layers.size())
    throw Error(ErrorCode::corrupt,
                cat(image.locator, ": ", manifest->layers.size(), " layers but ", config.diff_ids.size(), " diff ids"));
  Result result;
  bool known = true;
  // Made of blobs and diff ids: by the diff ids alone an image that lies about one would pass for an honest one.
  Digest identity;
  const std::size_t all = manifest->layers.size();
  const std::size_t wanted = image.layer_limit == 0 ? all : std::min<std::size_t>(image.layer_limit, all);
  for (std::size_t i = 0; i < wanted; ++i) {
    const Digest claim = cache::claim_id(config.diff_ids[i], manifest->layers[i]);
    identity = CanonicalWriter().tag('b').digest(identity).digest(claim).hash();
    const BaseLayer layer = base_layer(store, image.locator, config.diff_ids[i], manifest->layers[i]);
    known &= layer.known;
    const cache::Chain chain = store.extend(result.id, layer.id, identity);
    result = {chain.id, chain.identity};
  }
  if (known) return KnownSource{result};
  return result;
}

}  // namespace cbuild::solver::ops
