// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/digest.h"
#include "cache/store.h"

namespace cbuild::exporter {

/// Reads a blob of the store and compares it with its digest. One that does not match is dropped, and
/// Error{missing_content} thrown: the layer will be packed or fetched again.
void verify_blob(cache::Store& store, const Digest& digest);

/// The same for a blob whose content was read already and has the digest `found`.
void verify_blob(cache::Store& store, const Digest& digest, const Digest& found);

}  // namespace cbuild::exporter
