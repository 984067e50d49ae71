// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "exporter/image_set.h"
#include "exporter/outputs.h"
#include "oci/compression/compression.h"

namespace cbuild::exporter {

/// Where an archive of an image goes: its bytes, one after the other.
struct ArchiveSink {
  oci::layer::ByteSink bytes;
  /// Takes the place of `bytes` for the first `size` bytes of a file, if set, and tells `written` of each part.
  std::function<void(int fd, std::uint64_t size, const std::function<void(std::uint64_t)>& written)> file;
};

/// Writes images as a tar of an OCI layout (image-layout.md); with `docker` also manifest.json, as `docker load`
/// wants it. All blobs must be in the store, but for those of `left_out`, which the reader has. Same images, same
/// bytes.
void write_image_archive(cache::Store& store, const ImageSet& images, const std::vector<std::string>& names,
                         bool docker, const ArchiveSink& sink, const std::function<void(std::uint64_t)>& written,
                         const std::set<Digest>& left_out = {});

/// The same as a layout directory, made or added to; blobs are hard links where the file system allows it.
void write_image_directory(cache::Store& store, const ImageSet& images, const std::vector<std::string>& names,
                           const std::string& directory);

}  // namespace cbuild::exporter
