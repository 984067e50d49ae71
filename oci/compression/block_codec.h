// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "oci/compression/compression.h"
#include "oci/compression/raw_buffer.h"

namespace cbuild::oci::layer {

/// How a stream is put together from blocks. Fixed by compression and level alone.
enum class BlockMethod {
  copy,          ///< no compression
  gzip_joined,   ///< one gzip member; every block ends in a full flush (ISA-L, levels 0 to 3)
  gzip_members,  ///< every block is a gzip member of its own (libdeflate, levels 4 to 12)
  zstd_frames,   ///< every block is a zstd frame of its own
};

/// Throws Error{input} for a level the compression does not know.
BlockMethod block_method(Compression compression, int level);
/// Uncompressed size of all blocks but the last.
std::size_t block_size(BlockMethod method);

/// The compressor of one thread: turns blocks into stretches of the stream, each independent of the others.
class BlockCodec {
 public:
  BlockCodec(Compression compression, int level);
  ~BlockCodec();
  BlockCodec(BlockCodec&&) noexcept;
  BlockCodec& operator=(BlockCodec&&) noexcept;

  /// Appends the compressed form of `block` to `out`. Returns the CRC-32 of `block` if the method needs one
  /// (gzip_joined).
  std::uint32_t append(std::span<const std::byte> block, RawBuffer& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The bytes before, between and after the blocks of one stream.
class StreamFrame {
 public:
  explicit StreamFrame(BlockMethod method) : method_(method) {}

  void append_head(RawBuffer& out) const;
  /// Counts a block, in order.
  void add(std::uint32_t crc, std::size_t size);
  void append_tail(RawBuffer& out) const;
  /// Whether a stream without any byte still needs one (empty) block.
  bool needs_block() const;

 private:
  BlockMethod method_;
  std::uint32_t crc_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace cbuild::oci::layer
