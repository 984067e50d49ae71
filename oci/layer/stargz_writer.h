// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/digest.h"
#include "oci/compression/compression.h"
#include "oci/descriptor.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {

/// What an eStargz blob is, apart from its bytes.
struct StargzBlob {
  Digest diff_id;                       ///< of the archive and its table of contents
  std::uint64_t uncompressed_size = 0;  ///< of both
  Annotations annotations;              ///< for the descriptor: the table's digest, the uncompressed size
};

/// Writes an archive as eStargz (stargz-snapshotter, docs/estargz.md): a gzip member for each 4 MiB of a file, then a
/// table of contents as a tar of its own, then a footer of 51 bytes that says where. The archive itself stays as it is,
/// so any reader of layers takes the blob. The bytes depend only on the archive and the level.
class StargzWriter {
 public:
  /// `level` as of gzip. `sink` is called in order from one thread at a time. Throws Error{input} for a wrong level.
  StargzWriter(int level, ByteSink sink);
  ~StargzWriter();

  /// The next member, and where in the archive its content begins, `entry.size` bytes if `has_data`; told before that
  /// place is written, perhaps by another thread. Throws Error{unsupported} for a member that has the table's name.
  void add(const TarMember& member, std::uint64_t content_at);
  /// The next bytes of the archive. Throws what the sink throws.
  void write(std::span<const std::byte> bytes);
  /// Ends the blob. Once.
  StargzBlob finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
