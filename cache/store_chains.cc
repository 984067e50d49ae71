// SPDX-License-Identifier: Apache-2.0
// Chains: how layers stack. A row names its chain below, so a chain of N layers is N rows, and those that begin alike
// share rows.
#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/database/schema.h"
#include "cache/store.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

Chain read_chain(const Query& query) {
  Chain chain{query.digest(0), query.digest(1), query.digest(2), query.digest(3), 0};
  chain.depth = static_cast<std::uint32_t>(query.integer(4));
  return chain;
}

/// Id of a chain whose layers are known under another identity already. Readers key their results by the identity, so
/// each keeps its own.
Digest second_chain_digest(const Chain& chain) {
  return CanonicalWriter().text("chain").digest(chain.parent).digest(chain.layer).digest(chain.identity).hash();
}

/// A chain's id is computed from its parent and layer, so a row with a flipped bit is found out.
bool is_whole(const Chain& chain) {
  return chain.id == chain_digest(chain.parent, chain.layer) || chain.id == second_chain_digest(chain);
}

std::optional<Chain> select_chain(Database& db, const Digest& id) {
  Query query = db.query("SELECT id, parent, layer, identity, depth FROM chains WHERE id = ?", id);
  if (!query.next()) return std::nullopt;
  Chain chain = read_chain(query);
  return is_whole(chain) ? std::optional(chain) : std::nullopt;
}

/// Bottom first; empty if the chain is not known or a link of it is missing or damaged.
std::vector<Digest> select_chain_layers(Database& db, const Digest& id) {
  std::vector<Digest> layers;
  Query query = db.query(
      "WITH RECURSIVE down(id, parent, layer, identity, depth) AS"
      " (SELECT id, parent, layer, identity, depth FROM chains WHERE id = ?"
      " UNION ALL SELECT c.id, c.parent, c.layer, c.identity, c.depth FROM chains c JOIN down ON c.id = down.parent)"
      " SELECT id, parent, layer, identity, depth FROM down",
      id);
  Digest below = id;
  while (query.next()) {
    const Chain link = read_chain(query);
    if (!is_whole(link)) return {};
    below = link.parent;
    layers.push_back(link.layer);
  }
  if (!below.empty()) return {};
  std::reverse(layers.begin(), layers.end());
  return layers;
}

Chain select_or_insert(Store::Impl& store, Database& db, Chain chain) {
  if (db.run("UPDATE chains SET doomed = 0 WHERE id = ?", chain.id) > 0) {
    if (const auto known = select_chain(db, chain.id)) return *known;
    delete_chain(db, chain.id, 0);
  }
  const auto below = chain.parent.empty() ? std::optional<Chain>(Chain{}) : select_chain(db, chain.parent);
  if (!below) store.report_missing(cat("chain ", chain.parent.str(), " is gone"));
  chain.depth = below->depth + 1;
  db.run("INSERT INTO chains(id, parent, layer, identity, depth, last_used_ns) VALUES(?, ?, ?, ?, ?, ?)", chain.id,
         chain.parent, chain.layer, chain.identity, chain.depth, sys::now_ns());
  return chain;
}

Chain make_chain(const Digest& parent, const Digest& layer, const Digest& identity) {
  Chain chain;
  chain.id = chain_digest(parent, layer);
  chain.parent = parent;
  chain.layer = layer;
  chain.identity = identity.empty() ? chain.id : identity;
  return chain;
}

}  // namespace

Digest chain_digest(const Digest& parent, const Digest& layer) {
  return CanonicalWriter().text("chain").digest(parent).digest(layer).hash();
}

void Store::Impl::restore_chain(Database& db, const Digest& chain) {
  if (chain.empty() || select_chain(db, chain)) return;
  const std::optional<Chain> known = chains_.find(chain);
  if (!known) return;
  restore_chain(db, known->parent);
  if (restore_layer(db, known->layer)) select_or_insert(*this, db, *known);
}

void Store::Impl::remember(const Chain& chain) { chains_.remember(chain); }

Chain Store::Impl::record_chain(Database& db, const Chain& chain) {
  if (!restore_layer(db, chain.layer)) report_missing(cat("layer ", chain.layer.str(), " is gone"));
  restore_chain(db, chain.parent);
  return select_or_insert(*this, db, chain);
}

Chain Store::Impl::add_on(const Digest& parent, const Digest& layer, const Digest& identity,
                          const std::function<void(Database&)>& record) {
  const Pin layer_pin = pin(Pinned::layer, layer);
  Chain chain = make_chain(parent, layer, identity);
  const Pin chain_pin = pin(Pinned::chain, chain.id);
  chain = index.write([&](Database& db) {
    // First, because the rename of `record` is not undone with the transaction.
    restore_chain(db, parent);
    if (!parent.empty() && !select_chain(db, parent)) report_missing(cat("chain ", parent.str(), " is gone"));
    record(db);
    return select_or_insert(*this, db, chain);
  });
  lease.confirm(layer_pin);
  lease.confirm(chain_pin);
  remember(chain);
  return chain;
}

Chain Store::Impl::add_tree_on(const Digest& parent, Layer layer, Staging staging, const Digest& identity) {
  layer.has_tree = true;
  const std::string name = staging.impl_->seal(layer);
  bool moved = false;
  Chain chain = add_on(parent, layer.id, identity, [&](Database& db) { record_tree(db, layer, name, moved); });
  if (moved) staging.impl_->release();
  return chain;
}

Chain Store::Impl::add_packed_on(const Digest& parent, Layer layer, const Digest& identity) {
  layer.has_tree = false;
  return add_on(parent, layer.id, identity, [&](Database& db) { record_packed(db, layer); });
}

Chain Store::extend(const Digest& parent, const Digest& layer, const Digest& identity) {
  Chain chain = make_chain(parent, layer, identity);
  auto known = this->chain(chain.id);
  if (known && !identity.empty() && known->identity != identity) {
    chain.id = second_chain_digest(chain);
    known = this->chain(chain.id);
  }
  if (known) return *known;
  const Pin pin = impl_->pin(Pinned::chain, chain.id);
  chain = impl_->index.write([&](Database& db) { return impl_->record_chain(db, chain); });
  impl_->lease.confirm(pin);
  impl_->remember(chain);
  return chain;
}

std::optional<Chain> Store::chain(const Digest& id) {
  auto found = impl_->index.read([&](Database& db) { return select_chain(db, id); });
  if (found && !impl_->hold(Pinned::chain, id)) return std::nullopt;
  if (found) impl_->remember(*found);
  return found;
}

std::vector<Digest> Store::chain_layers(const Digest& id) {
  if (id.empty()) return {};
  return impl_->layers_of(id);
}

std::vector<Digest> Store::Impl::layers_of(const Digest& chain) {
  if (auto known = chains_.layers(chain)) return std::move(*known);
  std::vector<Digest> layers = index.read([&](Database& db) { return select_chain_layers(db, chain); });
  if (layers.empty()) {
    index.write([&](Database& db) { delete_chain(db, chain, 0); });
    report_missing(cat("chain ", chain.str(), " is gone"));
  }
  chains_.keep_layers(chain, layers);
  return layers;
}

}  // namespace cbuild::cache
