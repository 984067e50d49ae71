// SPDX-License-Identifier: Apache-2.0
// A chunk can be referred to in the archive when one piece covers it, or covers it up to the file's end, from a whole
// block on; a chunk without data is a hole; any other is copied into the image, which at worst are two for each piece.
// Smaller chunks copy less and need more indexes: the size is the smallest that keeps their number in bounds.
#include "oci/erofs/erofs_chunks.h"

#include <algorithm>

#include "base/error.h"
#include "oci/erofs/erofs_format.h"

namespace cbuild::oci::erofs {
namespace {

constexpr std::uint64_t kMaxChunks = 1u << 14;

using layer::TableExtent;
using layer::TableNode;

std::uint64_t count_for(std::uint64_t size, unsigned bits) {
  return (size + (kBlock << bits) - 1) >> (kBlockBits + bits);
}

bool is_one_piece(const TableNode& file) {
  return file.extents.empty() || (file.extents.size() == 1 && file.extents[0].size == file.size &&
                                  file.extents[0].archive_offset % kBlock == 0);
}

unsigned bits_for(std::uint64_t size, std::uint64_t most) {
  unsigned bits = 0;
  while (bits < kMaxChunkBits && count_for(size, bits) > most) ++bits;
  if (count_for(size, bits) > most) throw Error(ErrorCode::unsupported, "a file that is too large for EROFS");
  return bits;
}

}  // namespace

ChunkMap map_chunks(const TableNode& file) {
  ChunkMap out;
  out.bits = bits_for(file.size, is_one_piece(file) ? 1 : kMaxChunks);
  const std::uint64_t size = kBlock << out.bits, count = count_for(file.size, out.bits);
  out.chunks.resize(count);
  for (const TableExtent& extent : file.extents) {
    const std::uint64_t end = extent.file_offset + extent.size;
    for (std::uint64_t i = extent.file_offset / size; i * size < end; ++i) {
      Chunk& chunk = out.chunks[i];
      const std::uint64_t begin = i * size, chunk_end = std::min(begin + size, file.size);
      const std::uint64_t at = extent.archive_offset + (begin - extent.file_offset);
      const bool covers = extent.file_offset <= begin && end >= chunk_end && at % kBlock == 0;
      if (chunk.place == Chunk::Place::copied) continue;
      chunk = {covers ? Chunk::Place::archive : Chunk::Place::copied, covers ? at : 0};
      if (!covers) ++out.copied;
    }
  }
  return out;
}

}  // namespace cbuild::oci::erofs
