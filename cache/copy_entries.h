// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/digest.h"
#include "cache/store.h"
#include "oci/layer/planned_entry.h"

namespace cbuild::cache {

/// The entries of a layer that was written as a copied image (copy_image.h), with the content where it lies: an archive
/// is made of them without opening a file of the tree. nullptr for a layer that this process has not written, or that
/// can only be read as a tree.
std::unique_ptr<oci::layer::PlannedEntries> open_copy_entries(Store& store, const Digest& layer);

}  // namespace cbuild::cache
