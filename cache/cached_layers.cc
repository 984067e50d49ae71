// SPDX-License-Identifier: Apache-2.0
#include "cache/cached_layers.h"

#include "base/sys.h"
#include "base/text.h"
#include "cache/schema.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

bool is_from_cache(const Layer& layer) { return layer.fetch_from.starts_with(kCacheOrigin); }

Digest add_cached_layer(Store& store, const Layer& layer) {
  const auto known = store.layer_by_diff_id(layer.diff_id);
  if (!known) {
    store.add_lazy_layer(layer);
    return layer.id;
  }
  const bool replaceable = !known->has_tree && !known->has_blob && is_from_cache(*known);
  if (replaceable && known->fetch_from != layer.fetch_from) {
    store.impl().index.write([&](Database& db) {
      db.run("UPDATE layers SET media_type = ?, blob = ?, blob_size = ?, blob_extra = x'', fetch_from = ? WHERE id = ?",
             layer.blob->media_type, layer.blob->digest, layer.blob->size, layer.fetch_from, known->id);
    });
  }
  return known->id;
}

void lose_layer(Store& store, const Digest& layer, const std::string& origin) {
  const auto known = store.layer(layer);
  Store::Impl& impl = store.impl();
  impl.remember_lost(layer, origin);
  if (known) impl.remember_lost(known->diff_id, origin);
  impl.forget_memory(layer);
  impl.index.write([&](Database& db) { delete_layer(db, layer, 0); });
}

bool is_lost_layer(Store& store, const Digest& layer) { return store.impl().is_lost(layer); }
bool is_lost_origin(Store& store, const std::string& origin) { return store.impl().is_lost_origin(origin); }

// The lists of layers may hold it, and an open directory of it may be shared.
void Store::Impl::forget_memory(const Digest& layer) {
  drop_shared_dir(layer);
  lease.forget({Pinned::layer, layer});
  std::scoped_lock lock(mutex_);
  chain_layers_.clear();
}

void Store::Impl::remember_lost(const Digest& layer, const std::string& origin) {
  std::scoped_lock lock(mutex_);
  lost_layers_.insert(layer);
  if (!origin.empty()) lost_origins_.insert(origin);
}

bool Store::Impl::is_lost(const Digest& layer) {
  std::scoped_lock lock(mutex_);
  return lost_layers_.contains(layer);
}

bool Store::Impl::is_lost_origin(const std::string& origin) {
  std::scoped_lock lock(mutex_);
  return lost_origins_.contains(origin);
}

}  // namespace cbuild::cache
