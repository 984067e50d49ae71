// SPDX-License-Identifier: Apache-2.0
// A table is found by the claim of its layer (claimed_layer.h): a note among the metadata of sources names the blob
// that holds it. So it costs no table of the index, travels to remote caches like any blob, and is verified by its
// digest whenever it is read; decode_table() then checks its form, and the diff id in it must be the layer's.
#include "cache/layer_tables.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/claimed_layer.h"
#include "cache/source_metadata.h"
#include "cache/store_impl.h"
#include "cache/user_files.h"
#include "oci/layer/table_recorder.h"

namespace cbuild::cache {

namespace {

using oci::layer::EntryType;

constexpr std::size_t kMaxTable = 256u << 20;  ///< encoded

bool has_table(const Layer& layer) { return layer.blob && !layer.diff_id.empty(); }

Digest claim_of(const Layer& layer) { return claim_id(layer.diff_id, *layer.blob); }

Digest note_key(const Digest& claim) { return CanonicalWriter().text("layer table").digest(claim).hash(); }

SharedTable read_kept(Store& store, const Layer& layer) {
  const auto blob = layer_table_blob(store, layer);
  if (!blob || !store.blobs().size(blob->digest)) return nullptr;
  try {
    auto kept =
        std::make_shared<const KeptTable>(decode_kept_table(oci::read_blob(store.blobs(), blob->digest, kMaxTable)));
    if (kept->table.diff_id == layer.diff_id) return kept;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
  }
  store.forget_blob(blob->digest);
  return nullptr;
}

/// What is made counts if `expected`, which may leave the digest to others, and the diff id hold.
SharedTable read_table_of(const Layer& layer, oci::layer::ByteSource source, const oci::Descriptor& expected,
                          const BlobAccess& access) {
  oci::layer::PassOptions pass;
  pass.cancel = access.cancel;
  pass.expected = &expected;
  pass.expected_diff_id = layer.diff_id.empty() ? nullptr : &layer.diff_id;
  if (access.progress) pass.progress = [&](std::uint64_t bytes) { access.progress(layer, bytes, layer.blob->size); };
  return std::make_shared<const KeptTable>(read_kept_table(std::move(source), pass));
}

}  // namespace

std::optional<oci::Descriptor> layer_table_blob(Store& store, const Layer& layer) {
  if (!has_table(layer)) return std::nullopt;
  const auto note = read_source_metadata(store, note_key(claim_of(layer)));
  const std::vector<std::string> words = note ? split(*note, ' ') : std::vector<std::string>{};
  const auto digest = words.size() == 2 ? Digest::parse(words[0]) : std::nullopt;
  const auto size = digest ? parse_int(words[1]) : std::nullopt;
  if (!size || *size < 0) return std::nullopt;
  return oci::Descriptor{.media_type = kLayerTableType, .digest = *digest, .size = static_cast<std::uint64_t>(*size)};
}

void note_layer_table(Store& store, const Layer& layer, const oci::Descriptor& blob) {
  if (has_table(layer)) write_source_metadata(store, note_key(claim_of(layer)), cat(blob.digest.str(), ' ', blob.size));
}

SharedTable find_layer_table(Store& store, const Layer& layer) {
  if (!has_table(layer)) return nullptr;
  const Digest claim = claim_of(layer);
  if (auto known = store.impl().open_layers.table(claim)) return known;
  SharedTable table = read_kept(store, layer);
  if (table) store.impl().open_layers.keep_table(claim, table);
  return table;
}

void keep_layer_table(Store& store, const Layer& layer, SharedTable table) {
  if (!has_table(layer)) return;
  CBUILD_CHECK(table->table.diff_id == layer.diff_id);
  store.impl().open_layers.keep_table(claim_of(layer), table);
  try {
    note_layer_table(store, layer, oci::put_blob(store.blobs(), encode_kept_table(*table), kLayerTableType));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space && error.code() != ErrorCode::io) throw;  // the next build makes it again
  }
}

SharedTable find_layer_table(Store& store, const Layer& layer, const BlobAccess& access) {
  SharedTable table = find_layer_table(store, layer);
  if (!table && access.fetch_table && access.fetch_table(layer)) table = find_layer_table(store, layer);
  return table;
}

SharedTable make_layer_table(Store& store, const Digest& id, const BlobAccess& access) {
  SharedTable made;
  const auto is_done = [&](const Layer& layer) {
    made = find_layer_table(store, layer, access);
    return made != nullptr;
  };
  use_layer_blob(store, id, access, is_done, [&](const Layer& layer) {
    const auto read = [&](oci::layer::ByteSource source, const oci::Descriptor& expected) {
      made = read_table_of(layer, std::move(source), expected, access);
    };
    const bool is_here = store.blobs().size(layer.blob->digest).has_value();
    if (!is_here && !access.fetch)
      throw Error(ErrorCode::not_found, cat("blob ", layer.blob->digest.str(), " is not here"));
    if (is_here || !fetch_and_read(store, layer, access, read))
      read(store.blobs().open(layer.blob->digest).get(), *layer.blob);
    keep_layer_table(store, layer, made);
  });
  return made;
}

KeptTable read_kept_table(oci::layer::ByteSource blob, const oci::layer::PassOptions& pass) {
  oci::layer::TableRecorder recorder({});
  UserFiles user_files;
  const auto result = oci::layer::read_members(std::move(blob), pass,
                                               [&](const oci::layer::TarMember& member, oci::layer::TarReader& reader) {
                                                 recorder.add(member);
                                                 if (member.entry.type != EntryType::file || !member.has_data) return;
                                                 user_files.add(member);
                                                 std::span<const std::byte> bytes;
                                                 std::uint64_t offset = 0;
                                                 while (reader.data(bytes, offset)) {
                                                   recorder.data(bytes, offset, reader.position());
                                                   user_files.data(bytes, reader.position());
                                                 }
                                               });
  KeptTable kept{recorder.finish(), {}};
  kept.table.diff_id = result.diff_id;
  kept.table.archive_size = result.archive_size;
  user_files.finish(kept);
  return kept;
}

bool is_like_tree(Store& store, const KeptTable& kept) {
  if (!store.impl().user_xattr) return true;
  return std::none_of(kept.table.nodes.begin(), kept.table.nodes.end(), [](const oci::layer::TableNode& node) {
    const bool device = node.type == EntryType::char_device || node.type == EntryType::block_device;
    const auto is_security = [](const sys::Xattr& xattr) { return xattr.name.starts_with("security."); };
    return (device && !node.is_whiteout()) || std::any_of(node.xattrs.begin(), node.xattrs.end(), is_security);
  });
}

}  // namespace cbuild::cache
