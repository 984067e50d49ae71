// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/store.h"
#include "oci/layer/pack.h"

namespace cbuild::cache {

/// The blob of a layer in another compression, made from the one it has, which must be here; a blob that was made once
/// is remembered. The layer itself keeps its blob. The result's uncompressed size is not filled in. Throws Error; a
/// damaged blob is forgotten first.
oci::layer::PackedLayer reencode_layer(Store& store, const Layer& layer, const oci::layer::PackOptions& options);

}  // namespace cbuild::cache
