// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oci/blob_store.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "supply/sign/key.h"

namespace cbuild::supply {

/// What a signature says: this digest is to be found under this name. cosign's form, which is that of
/// containers/image's "simple signing" (docs/atomic-signature.md there).
struct SignedImage {
  std::string reference;  ///< "registry.example.com/app", without tag
  Digest manifest;

  bool operator==(const SignedImage&) const = default;
};

/// The repository as cosign spells it in what it signs.
std::string signed_name(const oci::Reference& reference);

/// The signed bytes, as cosign writes them.
std::string to_payload(const SignedImage& image);
/// Nullopt for other bytes.
std::optional<SignedImage> parse_payload(std::string_view payload);

/// The tag of the signatures of a manifest next to it: "sha256-<hex>.sig".
std::string signature_tag(const Digest& manifest);

/// A manifest of signatures; its blobs are in the store.
struct SignatureManifest {
  oci::Manifest content;
  std::string json;
};

/// Adds the signature of `image` by `key` to those of `earlier` (its blobs need not be here). `subject`: of a manifest
/// that refers to its image (image-spec 1.1); unset: one for the tag.
SignatureManifest put_signature(oci::BlobStore& blobs, const SignedImage& image, const SigningKey& key,
                                const oci::Manifest& earlier, const std::optional<oci::Descriptor>& subject);

/// One signature in a manifest, before its payload is known.
struct SignatureLayer {
  oci::Descriptor payload;
  std::string signature;  ///< decoded
};

/// The signatures of a manifest; at most 100.
std::vector<SignatureLayer> signatures_of(const oci::Manifest& manifest);

}  // namespace cbuild::supply
