// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "cache/content/tree.h"
#include "cache/layer_blob.h"
#include "cache/store.h"

namespace cbuild::cache {

/// Makes sure that every layer of `chain` has its tree: fetches blobs and unpacks missing trees, several at once, each
/// under a lock so that other processes wait instead of repeating it. `progress(layer, bytes, total)`.
void materialize(Store& store, const Digest& chain, const BlobFetcher& fetch, const CancelSource* cancel,
                 const BlobProgress& progress);
/// The same for one layer.
void materialize_layer(Store& store, const Digest& layer, const BlobAccess& access);

/// Whether the tree is there in a form that this process can use: one that may not mount unpacks what another has left.
bool has_usable_tree(Store& store, const Layer& layer);

/// Does all on a few threads; the first failure stops what has not begun. Missing content stops nothing: all of it
/// should be known before steps are run.
void for_each_layer(const std::vector<Digest>& layers, const std::function<void(const Digest&)>& action);

/// Descriptors of the trees to mount for a chain, topmost first, at most `max_layers`: a longer chain is
/// flattened below, once, into a directory kept in the store.
std::vector<UniqueFd> open_lowers(Store& store, const Digest& chain, unsigned max_layers = 100);
/// The merged view of a materialized chain.
TreeView open_view(Store& store, const Digest& chain);

}  // namespace cbuild::cache
