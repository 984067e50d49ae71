// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "oci/compression/raw_buffer.h"

struct isal_zstream;

namespace cbuild::oci::layer {

/// Deflate by ISA-L, block by block: every block ends in a full flush, thus on a byte, and needs nothing of the block
/// before. The bytes depend on the block and the level alone.
class IsalBlocks {
 public:
  /// `level` 1 or 2.
  explicit IsalBlocks(std::uint32_t level);

  /// Appends the deflate blocks of `block` to `out` and returns its CRC-32.
  std::uint32_t append(std::span<const std::byte> block, RawBuffer& out);

 private:
  isal_zstream* place_stream(std::span<const std::byte> block) const;

  std::uint32_t level_;
  RawBuffer level_buffer_;
  std::unique_ptr<std::byte[]> stream_room_;
};

}  // namespace cbuild::oci::layer
