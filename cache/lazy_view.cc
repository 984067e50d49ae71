// SPDX-License-Identifier: Apache-2.0
#include "cache/lazy_view.h"

#include <mutex>
#include <optional>
#include <unordered_map>

#include "cache/content/layer_dir.h"
#include "cache/flatten.h"
#include "cache/layer_tables.h"
#include "cache/store_impl.h"
#include "cache/table_layer.h"
#include "cache/unpacker.h"

namespace cbuild::cache {

namespace {

/// A layer that is read by a table.
struct ByTable {
  SharedTable table;  ///< null for one with `parts`
  std::shared_ptr<PartialLayer> parts;
};
using Tables = std::unordered_map<Digest, ByTable>;

std::shared_ptr<PartialLayer> read_by_parts(Store& store, const Layer& layer, const BlobAccess& access, bool is_here) {
  auto parts = access.read_parts ? access.read_parts(layer, is_here) : nullptr;
  return parts && is_like_tree(store, *parts->table()) ? parts : nullptr;
}

/// How a layer is read that is not read as a tree; of one that has neither tree nor table, one of both is made.
std::optional<ByTable> table_of(Store& store, const Digest& id, const BlobAccess& access, Missing missing) {
  const auto layer = store.layer(id);
  const bool has_tree = layer && has_usable_tree(store, *layer);
  const bool is_here = has_tree || (layer && layer->has_blob);
  if (layer && missing == Missing::read_files)
    if (auto parts = read_by_parts(store, *layer, access, is_here)) return ByTable{nullptr, parts};
  if (has_tree) return std::nullopt;
  SharedTable table = layer ? find_layer_table(store, *layer, access) : nullptr;
  if (!table && missing == Missing::make_tables) {
    auto parts = layer ? read_by_parts(store, *layer, access, is_here) : nullptr;
    if (parts) return ByTable{nullptr, parts};
    table = make_layer_table(store, id, access);
  }
  if (table && is_like_tree(store, *table)) return ByTable{table, nullptr};
  materialize_layer(store, id, access);
  return std::nullopt;
}

/// The layers that are not read as trees.
Tables tables_of(Store& store, const std::vector<Digest>& layers, const BlobAccess& access, Missing missing) {
  std::vector<Digest> others;
  for (const Digest& id : layers) {
    const auto layer = store.layer(id);
    const bool is_tree = layer && has_usable_tree(store, *layer) &&
                         !(missing == Missing::read_files && read_by_parts(store, *layer, access, true));
    if (!is_tree) others.push_back(id);
  }
  Tables tables;
  std::mutex mutex;  // guards tables
  for_each_layer(others, [&](const Digest& id) {
    auto by = table_of(store, id, access, missing);
    if (!by) return;
    const std::scoped_lock lock(mutex);
    tables.emplace(id, std::move(*by));
  });
  return tables;
}

std::shared_ptr<const LayerTree> lazy_layer(Store& store, const Digest& id, const ByTable& by,
                                            const BlobAccess& access) {
  const auto bring = [&store, id, access] {
    materialize_layer(store, id, access);
    return store.layer_dir(id);
  };
  return by.parts ? std::make_shared<const TableLayer>(by.parts, bring)
                  : std::make_shared<const TableLayer>(by.table, bring);
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
