// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/content/tree.h"
#include "cache/layer_blob.h"

namespace cbuild::cache {

/// What becomes of a layer that has neither a tree nor a table.
enum class Missing {
  make_tables,  ///< its blob is read once for the table: for readers of metadata
  make_trees,   ///< it is unpacked: for readers of content
  read_files,   ///< it is unpacked, unless it is read by parts (BlobAccess::read_parts): for readers of some content
};

/// The merged view of a chain whose layers need not have trees: one without is read by its table, and the first name
/// that is opened in it brings its tree. Throws as materialize(); so does opening a name.
TreeView open_lazy_view(Store& store, const Digest& chain, const BlobAccess& access, Missing missing);

}  // namespace cbuild::cache
