// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/platform.h"

namespace cbuild::oci {

/// Media types of the OCI image-spec and their Docker twins.
namespace media_type {
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerLayerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
inline constexpr std::string_view kOctetStream = "application/octet-stream";
}  // namespace media_type

bool is_manifest(std::string_view media_type);
bool is_index(std::string_view media_type);
bool is_layer(std::string_view media_type);

using Annotations = std::map<std::string, std::string>;

/// OCI image-spec, descriptor.md.
struct Descriptor {
  std::string media_type;
  Digest digest;       ///< empty where only `sha512` is known
  std::string sha512;  ///< "sha512:<hex>" of a blob that its image names so; verified with it, then known by `digest`
  std::uint64_t size = 0;
  Annotations annotations;
  std::optional<Platform> platform;
  std::vector<std::string> urls;
  std::string artifact_type;
  std::optional<std::string> data;  ///< embedded content, decoded

  bool operator==(const Descriptor&) const = default;
  /// The digest that a manifest gave it.
  std::string name() const { return sha512.empty() ? digest.str() : sha512; }
};

}  // namespace cbuild::oci
