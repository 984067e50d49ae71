// SPDX-License-Identifier: Apache-2.0
#include "cache/reencode.h"

#include "base/error.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/store_impl.h"
#include "oci/layer/recompress.h"

namespace cbuild::cache {
namespace {

std::optional<oci::layer::PackedLayer> find_encoding(Store& store, const Digest& layer, const std::string& variant,
                                                     const std::string& type) {
  return store.impl().index.read([&](Database& db) -> std::optional<oci::layer::PackedLayer> {
    Query query = db.query(
        "SELECT p.digest, p.size, p.diff_id, p.extra FROM packs p JOIN blobs b ON b.digest = p.digest"
        " WHERE p.layer = ? AND p.variant = ? AND p.media_type = ?",
        layer, variant, type);
    if (!query.next()) return std::nullopt;
    oci::layer::PackedLayer found;
    found.descriptor.media_type = type;
    found.descriptor.digest = query.digest(0);
    found.descriptor.size = static_cast<std::uint64_t>(query.integer(1));
    found.diff_id = query.digest(2);
    decode_extra(query.text(3), found.descriptor);
    return found;
  });
}

}  // namespace

oci::layer::PackedLayer reencode_layer(Store& store, const Layer& layer, const oci::layer::PackOptions& options) {
  CBUILD_CHECK(layer.blob.has_value());
  // The source is part of the name: the word for its diff id may be a manifest's only.
  const bool listed = options.compression == oci::layer::Compression::estargz;
  const std::string variant = cat("of ", layer.blob->digest.hex(), " level ", options.level, listed ? " estargz" : "");
  const std::string type(oci::layer::media_type(options.compression));
  if (auto known = find_encoding(store, layer.id, variant, type)) return *known;
  const UniqueFd source = store.blobs().open(layer.blob->digest);
  try {
    oci::layer::PackedLayer packed =
        oci::layer::recompress(source.get(), layer.blob->digest, layer.diff_id, store.blobs(), options);
    store.impl().index.write([&](Database& db) {
      db.run("INSERT OR REPLACE INTO packs VALUES(?, ?, ?, ?, ?, ?, ?)", layer.id, variant, type, packed.diff_id,
             packed.descriptor.digest, packed.descriptor.size, encode_extra(packed.descriptor));
    });
    return packed;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    store.forget_blob(layer.blob->digest);
    throw Error(ErrorCode::missing_content, cat("store: ", error.what()));
  }
}

}  // namespace cbuild::cache
