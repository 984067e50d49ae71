// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "oci/layer/pack.h"

namespace cbuild::oci::layer {

/// Puts a layer into another compression: decodes the blob `source_fd`, whatever its compression, and writes the same
/// tar to `blobs` as `options` say (times of files are left alone); estargz has a table behind it, and another diff id.
/// Throws Error{corrupt} where the blob is not `blob`, or does not hold `diff_id`, and nothing is kept then.
PackedLayer recompress(int source_fd, const Digest& blob, const Digest& diff_id, BlobStore& blobs,
                       const PackOptions& options);

}  // namespace cbuild::oci::layer
