// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/digest.h"
#include "cache/store.h"
#include "oci/descriptor.h"

/// Layers that a manifest says to exist. That a blob has a certain diff id is known only when it was unpacked; until
/// then it is that manifest's word, which must not answer for a layer of any other.
namespace cbuild::cache {

/// Stands for "the blob of this digest, size and compression has this diff id, and the table of contents of this digest
/// lies in it" (oci/table_annotations.h). Equal on all machines; docker's and foreign media types count as the
/// image-spec's, and where the blob lies does not count.
Digest claim_id(const Digest& diff_id, const oci::Descriptor& blob);

/// The layer of a claim: one that was made here and packed to just that blob, else the claim's own (Layer::id of
/// `layer` is not read). One that is not here yet is fetched from where `layer` says from now on. Returns the layer's
/// id.
Digest add_claimed_layer(Store& store, const Layer& layer);

}  // namespace cbuild::cache
