// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "oci/blob_store.h"
#include "oci/descriptor.h"
#include "oci/manifest.h"

namespace cbuild::supply {

/// A statement for an attestation manifest.
struct NamedStatement {
  std::string predicate_type;
  std::string json;
};

/// The attestation manifest of `image` as BuildKit writes it, with a layer for each statement; the blobs that it names
/// are put into the store. With `artifact` it is an artifact with the image as its subject (image-spec 1.1) and an
/// empty config; else its config is that of an image of unknown platform.
oci::Manifest put_statements(oci::BlobStore& blobs, const oci::Descriptor& image,
                             const std::vector<NamedStatement>& statements, bool artifact);

}  // namespace cbuild::supply
