// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "cache/content/tree.h"
#include "cache/store.h"

namespace cbuild::cache {

/// Fetches the blob of a lazy layer (from a registry, a layout) into the store's blobs, through `into`, which are those
/// or pass it on to them: a reader may follow. Seam, given by the wiring.
using BlobFetcher = std::function<void(const Layer& layer, oci::BlobStore& into)>;

/// Makes sure that every layer of `chain` has its tree: fetches blobs and unpacks missing trees, several at once, each
/// under a lock so that other processes wait instead of repeating it. `progress(layer, bytes, total)`.
void materialize(Store& store, const Digest& chain, const BlobFetcher& fetch, const CancelSource* cancel,
                 const std::function<void(const Layer&, std::uint64_t, std::uint64_t)>& progress);

/// The same for one layer whose blob is here.
void materialize_layer(Store& store, const Digest& layer, const CancelSource* cancel);

/// Descriptors of the trees to mount for a chain, topmost first, at most `max_layers`: a longer chain is
/// flattened below, once, into a directory kept in the store.
std::vector<UniqueFd> open_lowers(Store& store, const Digest& chain, unsigned max_layers = 100);
/// The merged view of a materialized chain.
TreeView open_view(Store& store, const Digest& chain);

}  // namespace cbuild::cache
