// SPDX-License-Identifier: Apache-2.0
#include "cache/lazy_view.h"

#include <mutex>
#include <unordered_map>

#include "cache/content/layer_dir.h"
#include "cache/flatten.h"
#include "cache/layer_tables.h"
#include "cache/store_impl.h"
#include "cache/table_layer.h"
#include "cache/unpacker.h"

namespace cbuild::cache {

namespace {

using Tables = std::unordered_map<Digest, SharedTable>;

/// The tables of the layers that have no tree; those that have neither get one of both.
Tables tables_of(Store& store, const std::vector<Digest>& layers, const BlobAccess& access, Missing missing) {
  Tables tables;
  std::vector<Digest> none;
  for (const Digest& id : layers) {
    const auto layer = store.layer(id);
    if (layer && has_usable_tree(store, *layer)) continue;
    SharedTable table = layer ? find_layer_table(store, *layer, access) : nullptr;
    if (table && is_like_tree(store, *table))
      tables.emplace(id, std::move(table));
    else
      none.push_back(id);
  }
  std::mutex mutex;  // guards tables
  for_each_layer(none, [&](const Digest& id) {
    SharedTable table = missing == Missing::make_tables ? make_layer_table(store, id, access) : nullptr;
    if (!table || !is_like_tree(store, *table)) return materialize_layer(store, id, access);
    const std::scoped_lock lock(mutex);
    tables.emplace(id, std::move(table));
  });
  return tables;
}

std::shared_ptr<const LayerTree> lazy_layer(Store& store, const Digest& id, SharedTable table,
                                            const BlobAccess& access) {
  return std::make_shared<const TableLayer>(std::move(table), [&store, id, access] {
    materialize_layer(store, id, access);
    return store.layer_dir(id);
  });
}

}  // namespace

TreeView open_lazy_view(Store& store, const Digest& chain, const BlobAccess& access, Missing missing) {
  store.pin_chain(chain);
  const std::vector<Digest> layers = without_hidden(store.chain_layers(chain));
  if (layers.size() > layers_at_once(kMostInView)) {
    materialize(store, chain, access.fetch, access.cancel, access.progress);
    return open_view(store, chain);
  }
  Tables tables = tables_of(store, layers, access, missing);
  if (tables.empty()) return open_view(store, chain);
  std::vector<std::shared_ptr<const LayerTree>> trees;
  for (auto id = layers.rbegin(); id != layers.rend(); ++id) {
    const auto table = tables.find(*id);
    trees.push_back(table == tables.end() ? store.layer_dir(*id) : lazy_layer(store, *id, table->second, access));
  }
  return TreeView::of_shared(std::move(trees), store.impl().user_xattr);
}

}  // namespace cbuild::cache
