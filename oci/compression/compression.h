// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cbuild::oci::layer {

enum class Compression {
  none,
  gzip,
  zstd,
  estargz,  ///< gzip with a table of contents (stargz_writer.h); made of archives only
};

std::optional<Compression> parse_compression(std::string_view name);  ///< "uncompressed", "gzip", "zstd", "estargz"
std::string_view media_type(Compression compression, bool docker_types = false);

using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Compresses a stream in fixed-size blocks on all cores (TBB); the output bytes depend only on the input, the
/// compression and the level, never on the thread count or on how the input was cut into write() calls. gzip: one
/// member, blocks joined by full flush, or several members; any gunzip reads it. Memory is bounded by a few blocks per
/// core.
class ParallelCompressor {
 public:
  /// `level` 0 = the default (fast) one. `sink` is called in order from one thread at a time. Not for estargz.
  ParallelCompressor(Compression compression, int level, ByteSink sink);
  ~ParallelCompressor();
  void write(std::span<const std::byte> data);
  /// Flushes and waits. Errors of the sink come out here or from write().
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
