// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "oci/layer/layer_table.h"

namespace cbuild::oci::erofs {

/// One chunk of a file: where it is.
struct Chunk {
  enum class Place { hole, archive, copied } place = Place::hole;
  std::uint64_t offset = 0;  ///< in the archive, in bytes
};

/// A file as chunks of one size.
struct ChunkMap {
  unsigned bits = 0;  ///< of the size of a chunk, above kBlockBits
  std::vector<Chunk> chunks;
  std::uint64_t copied = 0;  ///< how many of them cannot be referred to
};

/// Divides a file that is not empty. A file that lies in the archive in one piece is one chunk. Throws
/// Error{unsupported} if it would take too many.
ChunkMap map_chunks(const layer::TableNode& file);

}  // namespace cbuild::oci::erofs
