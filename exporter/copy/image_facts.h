// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exporter/copy/image_place.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/platform.h"

namespace cbuild::exporter {

/// The manifest that an attestation manifest is about; nullopt for other entries of an index.
std::optional<Digest> attested_manifest(const oci::Descriptor& descriptor);

/// A statement about an image: BuildKit keeps provenance and SBOMs as in-toto statements, one blob each.
struct StatementBlob {
  std::string predicate_type;
  oci::Descriptor blob;
};

/// The image of one platform.
struct PlatformImage {
  oci::Platform platform;
  oci::Descriptor descriptor;
  oci::Manifest manifest;
  std::string config_json;
  oci::ImageConfig config;
  std::vector<StatementBlob> attestations;
};

/// The attestation manifests that an index has for a manifest, read.
std::vector<StatementBlob> read_attestations(ImagePlace& from, const oci::Index& index, const Digest& manifest);

/// The images below a document; artifacts and attestations are left out. `wanted`: of these platforms only.
std::vector<PlatformImage> read_platform_images(ImagePlace& from, const ImageDocument& image,
                                                const std::vector<oci::Platform>& wanted);

/// Bytes of config and layers.
std::uint64_t size_of(const oci::Manifest& manifest);

}  // namespace cbuild::exporter
