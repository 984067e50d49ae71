// SPDX-License-Identifier: Apache-2.0
// Layers: what is on disk as trees.
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/content/layer_dir.h"
#include "cache/database/schema.h"
#include "cache/mounted_layer.h"
#include "cache/store.h"
#include "cache/store_impl.h"
#include "oci/erofs/erofs_mount.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kMaxMeta = 1u << 20;

void insert_layer(Database& db, const Layer& layer) {
  const oci::Descriptor blob = layer.blob.value_or(oci::Descriptor{});
  const std::int64_t now = sys::now_ns();
  db.run(
      "INSERT OR REPLACE INTO layers(id, diff_id, media_type, blob, blob_size, blob_extra, fetch_from, "
      "has_tree, disk_bytes,"
      " description, created_ns, last_used_ns) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      layer.id, layer.diff_id, blob.media_type, blob.digest, blob.size, encode_extra(blob), layer.fetch_from,
      layer.has_tree, layer.disk_bytes, layer.description, layer.created_ns != 0 ? layer.created_ns : now, now);
}

void insert_pack(Database& db, const Digest& layer, const Digest& diff_id, const oci::Descriptor& blob) {
  db.run("INSERT OR REPLACE INTO packs VALUES(?, x'', ?, ?, ?, ?, ?)", layer, blob.media_type, diff_id, blob.digest,
         blob.size, encode_extra(blob));
}

std::optional<Layer> select_layer(Database& db, const Digest& id) {
  Query query = db.query(cat("SELECT ", kLayerColumns,
                             " FROM layers l LEFT JOIN blobs b ON b.digest = l.blob AND b.doomed = 0"
                             " WHERE l.id = ?"),
                         id);
  if (!query.next()) return std::nullopt;
  return read_layer(query);
}

/// Moves a finished tree to its place; inside the transaction that records it, so that no other process sees
/// one without the other. What lay there stays in tmp/ until the staging is released.
void move_in(Store::Impl& store, const std::string& staged, const Digest& layer) {
  const int tmp = store.dir(Dir::tmp), snapshots = store.dir(Dir::snapshots);
  const std::string name = snapshot_name(layer);
  if (sys::rename_noreplace(tmp, staged, snapshots, name)) return;
  // No row claims what lies there: left by a killed process or a lost index.
  sys::rename_at(snapshots, name, tmp, replaced_name(staged));
  sys::rename_at(tmp, staged, snapshots, name);
}

}  // namespace

std::string snapshot_name(const Digest& layer) { return layer.hex(); }

std::string encode_meta(const Layer& layer) {
  const oci::Descriptor blob = layer.blob.value_or(oci::Descriptor{});
  return encode_texts({sys::boot_id(), layer.id.str(), layer.diff_id.str(), layer.fetch_from, layer.description,
                       std::to_string(layer.disk_bytes), std::to_string(layer.created_ns), blob.media_type,
                       blob.digest.str(), std::to_string(blob.size), encode_extra(blob)});
}

std::optional<Layer> decode_meta(const std::vector<std::string>& texts) {
  if (texts.size() != 11) return std::nullopt;
  Layer layer;
  layer.id = Digest::parse(texts[1]).value_or(Digest{});
  layer.diff_id = Digest::parse(texts[2]).value_or(Digest{});
  layer.fetch_from = texts[3];
  layer.description = texts[4];
  layer.disk_bytes = static_cast<std::uint64_t>(parse_int(texts[5]).value_or(0));
  layer.created_ns = parse_int(texts[6]).value_or(0);
  layer.has_tree = true;
  const Digest blob = Digest::parse(texts[8]).value_or(Digest{});
  if (!blob.empty()) {
    layer.blob = oci::Descriptor{};
    layer.blob->media_type = texts[7];
    layer.blob->digest = blob;
    layer.blob->size = static_cast<std::uint64_t>(parse_int(texts[9]).value_or(0));
    decode_extra(texts[10], *layer.blob);
  }
  return layer;
}

Layer read_layer(const Query& query) {
  Layer layer;
  layer.id = query.digest(0);
  layer.diff_id = query.digest(1);
  if (const Digest blob = query.digest(3); !blob.empty()) {
    oci::Descriptor descriptor;
    descriptor.media_type = query.text(2);
    descriptor.digest = blob;
    descriptor.size = static_cast<std::uint64_t>(query.integer(4));
    decode_extra(query.text(5), descriptor);
    layer.blob = std::move(descriptor);
  }
  layer.fetch_from = query.text(6);
  layer.has_tree = query.boolean(7);
  layer.disk_bytes = static_cast<std::uint64_t>(query.integer(8));
  layer.description = query.text(9);
  layer.has_blob = layer.blob.has_value() && query.boolean(10);
  layer.created_ns = query.integer(11);
  return layer;
}

Digest random_layer_id() { return random_digest(); }

std::optional<Layer> Store::layer(const Digest& id) {
  auto found = impl_->index.read([&](Database& db) { return select_layer(db, id); });
  if (found && !impl_->hold(Pinned::layer, id)) return std::nullopt;
  return found;
}

std::optional<Layer> Store::layer_by_diff_id(const Digest& diff_id) {
  if (diff_id.empty()) return std::nullopt;
  const Digest id = impl_->index.read([&](Database& db) {
    Query query = db.query(
        "SELECT id FROM layers WHERE diff_id = ? AND diff_id <> x'' AND doomed = 0"
        " ORDER BY has_tree DESC, id LIMIT 1",
        diff_id);
    return query.next() ? query.digest(0) : Digest{};
  });
  return id.empty() ? std::nullopt : layer(id);
}

void Store::add_lazy_layer(const Layer& layer) {
  if (impl_->hold(Pinned::layer, layer.id)) return;
  const Pin pin = impl_->pin(Pinned::layer, layer.id);
  impl_->index.write([&](Database& db) {
    if (db.run("UPDATE layers SET doomed = 0 WHERE id = ?", layer.id) > 0) return;
    Layer row = layer;
    const auto found = impl_->adoptable(layer.id);
    row.has_tree = found && found->diff_id == layer.diff_id;
    insert_layer(db, row);
    if (row.has_tree) mark_volatile(db, Kind::layer, layer.id);
  });
  impl_->lease.confirm(pin);
}

std::optional<Layer> Store::Impl::adoptable(const Digest& layer) {
  const auto directory = sys::try_open_at(dir(Dir::snapshots), snapshot_name(layer), O_RDONLY | O_DIRECTORY);
  if (!directory || !tree_stands(layer)) return std::nullopt;
  auto file = sys::try_open_at(directory->get(), kSyncedMeta, O_RDONLY);
  const bool synced = file.has_value();
  if (!synced) file = sys::try_open_at(directory->get(), kMeta, O_RDONLY);
  if (!file) return std::nullopt;
  const auto texts = decode_texts(sys::read_all(file->get(), kMaxMeta));
  auto found = decode_meta(texts);
  if (!found || found->id != layer) return std::nullopt;
  return synced || texts[0] == sys::boot_id() ? found : std::nullopt;
}

bool Store::Impl::restore_layer(Database& db, const Digest& layer) {
  if (db.run("UPDATE layers SET doomed = 0 WHERE id = ?", layer) > 0) return true;
  const auto found = adoptable(layer);
  if (!found) return false;
  insert_layer(db, *found);
  mark_volatile(db, Kind::layer, layer);
  return true;
}

void Store::Impl::record_tree(Database& db, const Layer& layer, const std::string& staged, bool& moved) {
  const auto old = select_layer(db, layer.id);
  if (old) {
    db.run("UPDATE layers SET doomed = 0 WHERE id = ?", layer.id);
    if (old->has_tree && tree_stands(layer.id)) return;
  }
  if (!moved) move_in(*this, staged, layer.id);
  moved = true;
  if (old) {
    db.run("UPDATE layers SET has_tree = 1, disk_bytes = ? WHERE id = ?", layer.disk_bytes, layer.id);
  } else {
    insert_layer(db, layer);
  }
  mark_volatile(db, Kind::layer, layer.id);
}

void Store::add_tree(Layer layer, Staging staging) {
  layer.has_tree = true;
  const std::string name = staging.impl_->seal(layer);
  const Pin pin = impl_->pin(Pinned::layer, layer.id);
  bool moved = false;
  impl_->index.write([&](Database& db) { impl_->record_tree(db, layer, name, moved); });
  impl_->lease.confirm(pin);
  if (moved) staging.impl_->release();
}

void Store::Impl::record_packed(Database& db, const Layer& layer) {
  CBUILD_CHECK(layer.blob.has_value() && !layer.has_tree);
  insert_layer(db, layer);
  insert_pack(db, layer.id, layer.diff_id, *layer.blob);
  mark_volatile(db, Kind::layer, layer.id);
}

void Store::set_packed(const Digest& layer, const Digest& diff_id, const oci::Descriptor& blob) {
  impl_->index.write([&](Database& db) {
    db.run("UPDATE layers SET diff_id = ?, media_type = ?, blob = ?, blob_size = ?, blob_extra = ? WHERE id = ?",
           diff_id, blob.media_type, blob.digest, blob.size, encode_extra(blob), layer);
    insert_pack(db, layer, diff_id, blob);
  });
}

std::shared_ptr<const LayerDir> Store::layer_dir(const Digest& layer) {
  return impl_->open_layers.dir(layer, [&] {
    UniqueFd tree = open_tree(layer);
    auto side = SideMetadata::read(tree.get());
    return std::make_shared<const LayerDir>(std::move(tree), std::move(side));
  });
}

UniqueFd Store::open_tree(const Digest& layer) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  auto fd = sys::try_open_at(impl_->dir(Dir::snapshots), snapshot_name(layer) + "/fs", kFlags);
  if (fd && SideMetadata::says_owners_apart(fd->get()) == impl_->owners_apart) return std::move(*fd);
  if (!fd && impl_->may_mount_layers())
    if (auto root = open_mounted(impl_->dir(Dir::snapshots), snapshot_name(layer))) return std::move(*root);
  impl_->forget_tree(layer);
  impl_->forget_missing_trees();
  impl_->report_missing(cat("the tree of layer ", layer.str(), " is gone"));
}

std::string Store::tree_path(const Digest& layer) const {
  return cat(impl_->root, "/snapshots/", snapshot_name(layer), "/fs");
}

// A layer that has a blob only loses its tree; any other takes its chains and records with it.
void Store::Impl::forget_tree(const Digest& layer) {
  forget_memory(layer);
  index.write([&](Database& db) {
    const auto known = select_layer(db, layer);
    if (!known) return;
    if (known->has_blob || !known->fetch_from.empty()) {
      db.run("UPDATE layers SET has_tree = 0, disk_bytes = 0 WHERE id = ?", layer);
    } else {
      delete_layer(db, layer, 0);
    }
  });
}

void Store::Impl::forget_layer(const Digest& layer) {
  forget_memory(layer);
  index.write([&](Database& db) { delete_layer(db, layer, 0); });
}

// Where one is gone more may be: all at once, so that what depends on them is not found out one by one.
void Store::Impl::forget_missing_trees() {
  const auto layers = index.read([](Database& db) {
    std::vector<Digest> out;
    Query query = db.query("SELECT id FROM layers WHERE has_tree = 1");
    while (query.next()) out.push_back(query.digest(0));
    return out;
  });
  for (const Digest& layer : layers)
    if (!tree_stands(layer)) forget_tree(layer);
}

bool Store::Impl::tree_stands(const Digest& layer) {
  const int snapshots = dir(Dir::snapshots);
  const std::string name = snapshot_name(layer);
  const auto tree = sys::try_open_at(snapshots, name + "/fs", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (tree) return SideMetadata::says_owners_apart(tree->get()) == owners_apart;
  return may_mount_ && is_mounted_form(snapshots, name);
}

bool Store::Impl::can_mount_layers() {
  std::call_once(mount_probed_, [&] { can_mount_ = may_mount_ && oci::erofs::can_mount_in(dir(Dir::tmp)); });
  return can_mount_;
}

}  // namespace cbuild::cache
