// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "oci/descriptor.h"

namespace cbuild::oci {

/// OCI image-spec manifest.md, or Docker's manifest v2 schema 2, told apart by media_type.
struct Manifest {
  std::string media_type = std::string(media_type::kManifest);
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  Annotations annotations;

  bool operator==(const Manifest&) const = default;
};

/// OCI image-spec image-index.md, or Docker's manifest list.
struct Index {
  std::string media_type = std::string(media_type::kIndex);
  std::string artifact_type;
  std::vector<Descriptor> manifests;
  std::optional<Descriptor> subject;
  Annotations annotations;

  bool operator==(const Index&) const = default;
};

/// Digests that a reader can do with.
enum class Digests { sha256, any };

/// Parses either kind. Refuses with Error{corrupt}: over 4 MiB, a document with both "manifests" and "layers"
/// or "config" (CVE-2021-41190), a body media type that differs from `content_type` (if one is given,
/// parameters ignored); with Error{unsupported}: schema 1, and unless
/// `digests` is any, descriptors by sha512.
std::variant<Manifest, Index> parse_manifest(std::string_view json, std::string_view content_type = {},
                                             Digests digests = Digests::sha256);
/// Whether some blob of a manifest is named by sha512.
bool has_sha512(const Manifest& manifest);
/// Manifests and indexes as blobs: indented by two blanks, the bytes BuildKit gives.
std::string to_json(const Manifest& manifest);
std::string to_json(const Index& index);
/// One line, as index.json of a layout is written.
std::string to_compact_json(const Index& index);
std::string to_json(const Descriptor& descriptor);

/// True for the attestation manifests BuildKit adds to an index and for entries of platform unknown/unknown.
bool is_attestation(const Descriptor& descriptor);
/// The entry of an index that serves `wanted` best (match_score), the first of equals; attestations skipped.
/// When none does, the first entry that states no platform (its config decides); nullptr if there is none
/// either.
const Descriptor* select_platform(const Index& index, const Platform& wanted);

}  // namespace cbuild::oci
