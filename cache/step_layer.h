// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/store.h"

namespace cbuild::cache {

/// Store::add_tree() and Store::extend() in one transaction: the changes of a step, as a layer on `parent`.
Chain add_tree_on(Store& store, const Digest& parent, Layer layer, Staging staging, const Digest& identity);

/// The same for a layer that is only a blob, packed from files that are not on disk as a tree: `layer` has its diff id
/// and blob, which is in the store. A later reader unpacks it, and a packer that wants another kind of blob does.
Chain add_packed_on(Store& store, const Digest& parent, Layer layer, const Digest& identity);

/// Removes the overlay work directories of trees that were published since the last call. For a moment when nobody
/// waits; the store's destructor does it too.
void remove_leftovers(Store& store) noexcept;

}  // namespace cbuild::cache
