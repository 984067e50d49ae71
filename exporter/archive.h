// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exporter/outputs.h"
#include "oci/layer/compression.h"

namespace cbuild::exporter {

/// Writes an image as a tar of an OCI layout (image-layout.md); with `docker` also manifest.json, as `docker load`
/// wants it. All blobs must be in the store. Same image, same bytes.
void write_image_archive(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                         bool docker, const oci::layer::ByteSink& sink,
                         const std::function<void(std::uint64_t)>& written);

/// The same as a layout directory, made or added to; blobs are hard links where the file system allows it.
void write_image_directory(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                           const std::string& directory);

/// The merged root file system of a chain as one tar.
void write_rootfs_tar(cache::Store& store, const Digest& chain, std::optional<std::int64_t> clamp_mtime_s,
                      const oci::layer::ByteSink& sink, const CancelSource* cancel);

}  // namespace cbuild::exporter
