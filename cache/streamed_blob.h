// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cache/layer_blob.h"
#include "oci/layer/byte_source.h"

namespace cbuild::cache {

/// Reads all of a blob. `expected`: what is left to verify.
using ReadBlob = std::function<void(oci::layer::ByteSource source, const oci::Descriptor& expected)>;

/// Fetches the blob of a layer into the store, and has `read` read it while it comes. False if it has to be read from
/// the store after all: the transfer began again in the middle, or there was no thread. If the fetch fails, its failure
/// is thrown, not that of `read`, which saw its source end; else that of `read`, and the blob is in the store. What
/// `read` makes counts if true is returned.
bool fetch_and_read(Store& store, const Layer& layer, const BlobAccess& access, const ReadBlob& read);

}  // namespace cbuild::cache
