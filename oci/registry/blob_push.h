// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "oci/registry/transport.h"

namespace cbuild::oci::registry {

/// Brings one blob into a repository: there already, mounted from another repository of the registry, or
/// uploaded in one piece (POST and PUT). An upload that is given up is cancelled at the registry.
Client::PushOutcome upload_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                                BlobStore& store, const std::optional<Reference>& mount_from,
                                const Transferred& progress);

/// Whether the repository has the blob, or could mount it from `mount_from`; sends no content.
bool offer_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                const std::optional<Reference>& mount_from);

}  // namespace cbuild::oci::registry
