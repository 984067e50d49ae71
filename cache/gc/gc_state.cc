// SPDX-License-Identifier: Apache-2.0
//
// Reads the index into maps, once per gc: chains with the time of their last use, layers with their size on disk, blobs
// with the layers and images that need them. A chain counts as used when one on top of it was. Sizes of trees that
// nobody measured yet are measured here. The decision is in gc.cc.
#include "cache/gc/gc_state.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <variant>

#include "base/error.h"
#include "base/sys.h"
#include "cache/gc/gc_take.h"
#include "cache/mounted_layer.h"
#include "cache/reserve.h"
#include "cache/tree_blocks.h"
#include "oci/manifest.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kMaxManifest = 8u << 20;
constexpr unsigned kMaxNesting = 4;  ///< indexes in indexes

void read_chains(Database& db, GcState& state) {
  state.chains.clear();
  Query query = db.query("SELECT id, parent, layer, last_used_ns, depth FROM chains ORDER BY depth DESC");
  std::vector<Digest> deepest_first;
  while (query.next()) {
    state.chains[query.digest(0)] = {query.digest(1), query.digest(2), query.integer(3),
                                     static_cast<std::uint32_t>(query.integer(4)), 0};
    deepest_first.push_back(query.digest(0));
  }
  // A chain is used when one on top of it is.
  for (const Digest& id : deepest_first) {
    const auto parent = state.chains.find(state.chains[id].parent);
    if (parent == state.chains.end()) continue;
    parent->second.last_used_ns = std::max(parent->second.last_used_ns, state.chains[id].last_used_ns);
    ++parent->second.children;
  }
}

void read_layers(Database& db, GcState& state) {
  state.layers.clear();
  Query query =
      db.query("SELECT id, description, has_tree, disk_bytes, created_ns, last_used_ns, blob, fetch_from FROM layers");
  while (query.next()) {
    GcState::LayerInfo& layer = state.layers[query.digest(0)];
    layer = {query.text(1),
             query.boolean(2),
             query.text(7).starts_with("docker-image://"),
             static_cast<std::uint64_t>(query.integer(3)),
             query.integer(4),
             query.integer(5),
             {},
             {}};
    if (const Digest blob = query.digest(6); !blob.empty()) layer.blobs.push_back(blob);
  }
  Query packs = db.query("SELECT layer, digest FROM packs");
  while (packs.next()) {
    const auto layer = state.layers.find(packs.digest(0));
    if (layer != state.layers.end()) layer->second.blobs.push_back(packs.digest(1));
  }
  for (const auto& [id, chain] : state.chains) {
    const auto layer = state.layers.find(chain.layer);
    if (layer == state.layers.end()) continue;
    layer->second.chains.push_back(id);
    layer->second.last_used_ns = std::max(layer->second.last_used_ns, chain.last_used_ns);
  }
}

void read_blobs(Database& db, GcState& state) {
  state.blobs.clear();
  Query query = db.query("SELECT digest, size, created_ns, last_used_ns FROM blobs");
  while (query.next()) {
    state.blobs[query.digest(0)] = {
        static_cast<std::uint64_t>(query.integer(1)), query.integer(2), query.integer(3), {}, false, false};
  }
  for (const auto& [id, layer] : state.layers) {
    for (const Digest& digest : layer.blobs) {
      const auto blob = state.blobs.find(digest);
      if (blob == state.blobs.end()) continue;
      blob->second.layers.insert(id);
      blob->second.fetchable |= layer.fetchable;
      blob->second.last_used_ns = std::max(blob->second.last_used_ns, layer.last_used_ns);
    }
  }
}

void mark_image(Store::Impl& store, GcState& state, const Digest& manifest, unsigned nesting) {
  const auto mark = [&](const Digest& digest) {
    const auto blob = state.blobs.find(digest);
    if (blob != state.blobs.end()) blob->second.in_image = true;
    return blob != state.blobs.end();
  };
  if (!mark(manifest) || nesting > kMaxNesting) return;
  try {
    // Not through the blob store: reading there would pin blobs that we may be about to remove.
    const auto document = oci::parse_manifest(sys::read_file_at(store.dir(Dir::blobs), manifest.hex(), kMaxManifest));
    if (const auto* index = std::get_if<oci::Index>(&document)) {
      for (const oci::Descriptor& entry : index->manifests) mark_image(store, state, entry.digest, nesting + 1);
      return;
    }
    const auto& image = std::get<oci::Manifest>(document);
    mark(image.config.digest);
    for (const oci::Descriptor& layer : image.layers) mark(layer.digest);
  } catch (const Error&) {
    // A manifest that cannot be read keeps nothing but itself.
  }
}

void measure(Store::Impl& store, GcState& state) {
  for (auto& [id, layer] : state.layers) {
    if (!layer.has_tree) continue;
    // The part of a mounted layer in files that others have too is another when one of them has gone.
    const std::uint64_t known = layer.bytes;
    if (is_mounted_form(store.dir(Dir::snapshots), snapshot_name(id)))
      layer.bytes = shared_blocks(store.dir(Dir::snapshots), snapshot_name(id));
    else if (known == 0)
      layer.bytes = tree_blocks(store.dir(Dir::snapshots), snapshot_name(id));
    if (layer.bytes == known) continue;
    unless_full([&, layer_id = id] {
      store.index.write(
          [&](Database& db) { db.run("UPDATE layers SET disk_bytes = ? WHERE id = ?", layer.bytes, layer_id); });
    });
  }
  for (auto& [digest, blob] : state.blobs) {
    const auto st = sys::try_stat_at(store.dir(Dir::blobs), digest.hex());
    blob.bytes = st ? static_cast<std::uint64_t>(st->st_blocks) * 512 : 0;
  }
}

}  // namespace

bool GcState::in_image(const LayerInfo& layer) const {
  return std::any_of(layer.blobs.begin(), layer.blobs.end(), [&](const Digest& digest) {
    const auto blob = blobs.find(digest);
    return blob != blobs.end() && blob->second.in_image;
  });
}

GcState read_state(Store::Impl& store) {
  GcState state;
  std::vector<Digest> images;
  store.index.read([&](Database& db) {
    read_chains(db, state);
    read_layers(db, state);
    read_blobs(db, state);
    images.clear();
    Query query = db.query("SELECT manifest FROM images");
    while (query.next()) images.push_back(query.digest(0));
  });
  for (const Digest& manifest : images) mark_image(store, state, manifest, 0);
  measure(store, state);
  return state;
}

Kept kept_by(const LiveLeases& leases, const GcState& state) {
  Kept kept;
  for (const auto& [kind, id] : leases.pins) {
    if (kind == Pinned::layer) kept.layers.insert(id);
    if (kind == Pinned::blob) kept.blobs.insert(id);
    if (kind != Pinned::chain) continue;
    for (auto chain = state.chains.find(id); chain != state.chains.end();
         chain = state.chains.find(chain->second.parent)) {
      if (!kept.chains.insert(chain->first).second) break;
      kept.layers.insert(chain->second.layer);
    }
  }
  for (const Digest& id : kept.layers) {
    const auto layer = state.layers.find(id);
    if (layer != state.layers.end()) kept.blobs.insert(layer->second.blobs.begin(), layer->second.blobs.end());
  }
  return kept;
}

}  // namespace cbuild::cache
