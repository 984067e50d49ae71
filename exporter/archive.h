// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/content/tree.h"
#include "exporter/outputs.h"
#include "oci/layer/compression.h"

namespace cbuild::exporter {

/// Where an archive of an image goes: its bytes, one after the other.
struct ArchiveSink {
  oci::layer::ByteSink bytes;
  /// Takes the place of `bytes` for the first `size` bytes of a file, if set, and tells `written` of each part.
  std::function<void(int fd, std::uint64_t size, const std::function<void(std::uint64_t)>& written)> file;
};

/// Writes an image as a tar of an OCI layout (image-layout.md); with `docker` also manifest.json, as `docker load`
/// wants it. All blobs must be in the store. Same image, same bytes.
void write_image_archive(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                         bool docker, const ArchiveSink& sink, const std::function<void(std::uint64_t)>& written);

/// The same as a layout directory, made or added to; blobs are hard links where the file system allows it.
void write_image_directory(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                           const std::string& directory);

/// How a chain becomes a tar or a directory of files.
struct RootfsOptions {
  Digest chain;                               ///< empty: no file at all
  std::optional<std::int64_t> clamp_mtime_s;  ///< times after this are lowered to it
  std::string prefix;                         ///< a directory that everything is put into; empty: none
  const CancelSource* cancel = nullptr;
};

/// The merged files of a chain.
cache::TreeView open_rootfs(cache::Store& store, const Digest& chain);

/// The merged root file system of a chain as one tar.
void write_rootfs_tar(cache::Store& store, const RootfsOptions& options, const oci::layer::ByteSink& sink);

}  // namespace cbuild::exporter
