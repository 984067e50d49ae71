// SPDX-License-Identifier: Apache-2.0
#include "cache/cached_layers.h"

#include "base/sys.h"
#include "base/text.h"
#include "cache/claimed_layer.h"
#include "cache/database/schema.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

bool is_from_cache(const Layer& layer) { return layer.fetch_from.starts_with(kCacheOrigin); }

Digest add_cached_layer(Store& store, const Layer& layer) {
  const auto known = store.layer_by_diff_id(layer.diff_id);
  if (known && (known->has_tree || known->fetch_from.empty())) return known->id;
  const Digest id = claim_id(layer.diff_id, *layer.blob);
  // A base's registry keeps layers that a cache may drop.
  if (const auto claimed = store.layer(id); claimed && !is_from_cache(*claimed)) return id;
  return add_claimed_layer(store, layer);
}

void note_cache_claim(Store& store, const Digest& layer) { store.impl().missing.note_claim(layer); }

void forget_missing_layer(Store& store, const Digest& layer, const std::string& origin) {
  const auto known = store.layer(layer);
  Store::Impl& impl = store.impl();
  impl.missing.add(layer, origin);
  if (known) impl.missing.add(known->diff_id, origin);
  impl.forget_memory(layer);
  impl.index.write([&](Database& db) { delete_layer(db, layer, 0); });
}

bool is_missing_layer(Store& store, const Digest& layer) { return store.impl().missing.contains(layer); }
bool is_missing_origin(Store& store, const std::string& origin) { return store.impl().missing.contains_origin(origin); }

// The lists of layers may hold it, and an open directory of it may be shared.
void Store::Impl::forget_memory(const Digest& layer) {
  open_layers.drop_dir(layer);
  lease.forget({Pinned::layer, layer});
  chains_.forget_layers();
}

}  // namespace cbuild::cache
