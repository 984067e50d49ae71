// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "cache/kept_table.h"
#include "cache/layer_blob.h"
#include "oci/layer/layer_pass.h"

/// Tables of contents of layers, kept in the store: an encoded table is a blob, and a note says which layer it is of.
/// It is bound to the layer's diff id and blob together, so that an image which is wrong about one of them has none.
/// gc may take either; what is gone or damaged is a miss.
namespace cbuild::cache {

inline constexpr char kLayerTableType[] = "application/vnd.cbuild.layer.table.v1";

/// The table of a layer, nullptr if the store has none. Thread-safe, as all of this.
SharedTable find_layer_table(Store& store, const Layer& layer);
/// The same, where a remote cache is asked too (BlobAccess::fetch_table).
SharedTable find_layer_table(Store& store, const Layer& layer, const BlobAccess& access);
/// The same as the blob that it is kept in.
std::optional<oci::Descriptor> layer_table_blob(Store& store, const Layer& layer);
/// Keeps what a pass over the layer's blob found. Best effort: it is a memo.
void keep_layer_table(Store& store, const Layer& layer, SharedTable table);
/// The pass over a layer's blob that makes its table; throws as unpack().
KeptTable read_kept_table(oci::layer::ByteSource blob, const oci::layer::PassOptions& pass);
/// Says that a blob, which the store need not have, is the encoded table of a layer.
void note_layer_table(Store& store, const Layer& layer, const oci::Descriptor& blob);

/// find_layer_table(), and where there is none the pass over the layer's blob that makes it: nothing is unpacked.
SharedTable make_layer_table(Store& store, const Digest& layer, const BlobAccess& access);

/// Whether a view by this table is that of the tree which this store would unpack: an ordinary user's may lack what a
/// table has.
bool is_like_tree(Store& store, const KeptTable& kept);

}  // namespace cbuild::cache
