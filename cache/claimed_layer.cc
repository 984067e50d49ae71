// SPDX-License-Identifier: Apache-2.0
#include "cache/claimed_layer.h"

#include "base/error.h"
#include "cache/codec.h"
#include "cache/store_impl.h"
#include "oci/layer_type.h"
#include "oci/table_annotations.h"

namespace cbuild::cache {
namespace {

/// A layer that was made here and is known to give this blob.
Digest made_here(Store& store, const Digest& diff_id, const Digest& blob) {
  return store.impl().index.read([&](Database& db) {
    Query query = db.query(
        "SELECT id FROM layers l WHERE diff_id = ?1 AND diff_id <> x'' AND fetch_from = x'' AND doomed = 0"
        " AND (blob = ?2 OR EXISTS(SELECT 1 FROM packs WHERE layer = l.id AND digest = ?2 AND diff_id = ?1))"
        " ORDER BY has_tree DESC, id LIMIT 1",
        diff_id, blob);
    return query.next() ? query.digest(0) : Digest{};
  });
}

/// Whoever names it last has it: another registry may be down or may have dropped it.
void fetch_from_now_on(Store& store, const Layer& known, const Layer& layer) {
  if (known.has_tree || known.has_blob) return;
  if (known.fetch_from == layer.fetch_from && known.blob == layer.blob) return;
  store.impl().index.write([&](Database& db) {
    db.run("UPDATE layers SET media_type = ?, blob_extra = ?, fetch_from = ?, description = ? WHERE id = ?",
           layer.blob->media_type, encode_extra(*layer.blob), layer.fetch_from, layer.description, known.id);
  });
}

}  // namespace

Digest claim_id(const Digest& diff_id, const oci::Descriptor& blob) {
  CanonicalWriter writer;
  writer.text("claimed layer").digest(diff_id).digest(blob.digest).number(blob.size);
  writer.text(oci::oci_layer_type(blob.media_type));
  if (const std::string tables = oci::table_claim(blob); !tables.empty()) writer.text(tables);
  return writer.hash();
}

Digest add_claimed_layer(Store& store, const Layer& layer) {
  CBUILD_CHECK(layer.blob.has_value() && !layer.diff_id.empty());
  if (const Digest own = made_here(store, layer.diff_id, layer.blob->digest); !own.empty() && store.layer(own))
    return own;
  Layer claimed = layer;
  claimed.id = claim_id(layer.diff_id, *layer.blob);
  if (const auto known = store.layer(claimed.id)) {
    fetch_from_now_on(store, *known, claimed);
  } else {
    store.add_lazy_layer(claimed);
  }
  return claimed.id;
}

}  // namespace cbuild::cache
