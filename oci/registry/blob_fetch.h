// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "oci/registry/transport.h"

namespace cbuild::oci::registry {

using MakeWriter = std::function<std::unique_ptr<BlobWriter>()>;

/// Streams one blob into a writer and commits it. A broken transfer goes on where it stopped (Range); a
/// storage URL that has expired is asked for again. Returns the digest that the writer gave it. Throws Error{corrupt}
/// for wrong content, Error{network} when attempts run out.
Digest download_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                     const MakeWriter& make, const Transferred& progress);

}  // namespace cbuild::oci::registry
