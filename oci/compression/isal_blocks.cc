// SPDX-License-Identifier: Apache-2.0
// ISA-L (2.30 to 2.32) files the third byte of its input under a hash of the accidental content of a register, which is
// the address of the stream above its low 16 bits (igzip_icf_body_h1_gr_bt.asm, write_first_byte). That is harmless
// unless the hash is also that of one of the first three positions: then a later match with one of them is found or
// missed, and the output depends on where in memory the stream lies. So the stream has room to be placed at an address
// whose hash is none of the three; the output is then the same for all such addresses.
#include "oci/compression/isal_blocks.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/error.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kHashedPositions = 3, kHashedBytes = 4;
/// Neighbours differ in the hashed part of the address. Only the one that is used is ever touched.
constexpr std::size_t kPlaces = 16, kPlaceStep = 1u << 16;
/// A run of zero or of one bits of this length at the start is written without the matcher, which begins behind it.
constexpr std::size_t kMinRun = 4096;

/// Room for any input: stored blocks cost 5 bytes per 64 KiB, ISA-L writes a little over that before it falls back.
std::size_t deflate_bound(std::size_t size) { return size + size / 32 + 4096; }

std::uint8_t* mutable_bytes(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(bytes.data()));  // ISA-L does not write through it
}

/// The hash of four bytes, before it is cut to the size of the table.
std::uint32_t hash_of(std::span<const std::byte, kHashedBytes> bytes) {
  return crc32_iscsi(mutable_bytes(bytes), kHashedBytes, 0);
}

std::uint32_t hash_of(const void* stream) {
  const auto number = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(stream) >> 16);
  return hash_of(std::as_bytes(std::span<const std::uint32_t, 1>(&number, 1)));
}

/// The part of a hash that chooses the place in the smallest table ISA-L takes for an input of this size.
std::uint32_t hash_mask(std::size_t size) {
  constexpr int kMaxBits = 13;
  return (1u << std::min(static_cast<int>(std::bit_width(size | 1)) - 1, kMaxBits)) - 1;
}

bool starts_with_run(std::span<const std::byte> block) {
  return block.size() > kMinRun && (block[0] == std::byte{0} || block[0] == std::byte{0xff}) &&
         std::memcmp(block.data(), block.data() + 1, kMinRun - 1) == 0;
}

/// The input as the matcher sees it.
std::span<const std::byte> matched_part(std::span<const std::byte> block) {
  if (!starts_with_run(block)) return block;
  std::size_t at = kMinRun;
  while (at + kMinRun <= block.size() && std::memcmp(block.data(), block.data() + at, kMinRun) == 0) at += kMinRun;
  while (at < block.size() && block[at] == block[0]) ++at;
  return block.subspan(at);
}

}  // namespace

IsalBlocks::IsalBlocks(std::uint32_t level)
    : level_(level),
      stream_room_(std::make_unique_for_overwrite<std::byte[]>(sizeof(isal_zstream) + (kPlaces - 1) * kPlaceStep)) {
  level_buffer_.reserve(level == 1 ? ISAL_DEF_LVL1_DEFAULT : ISAL_DEF_LVL2_DEFAULT);
}

isal_zstream* IsalBlocks::place_stream(std::span<const std::byte> block) const {
  const std::uint32_t mask = hash_mask(block.size());
  const std::span<const std::byte> matched = matched_part(block);
  const auto collides = [&](const std::byte* place) {
    const std::uint32_t hash = hash_of(place) & mask;
    for (std::size_t at = 0; at < kHashedPositions && at + kHashedBytes <= matched.size(); ++at)
      if ((hash_of(matched.subspan(at).first<kHashedBytes>()) & mask) == hash) return true;
    return false;
  };
  std::byte* place = stream_room_.get();
  std::byte* const last = place + (kPlaces - 1) * kPlaceStep;
  while (place != last && collides(place)) place += kPlaceStep;
  return ::new (place) isal_zstream;
}

std::uint32_t IsalBlocks::append(std::span<const std::byte> block, RawBuffer& out) {
  out.reserve(out.size() + deflate_bound(block.size()));
  const std::span<std::byte> room = out.room();
  isal_zstream* const stream = place_stream(block);
  isal_deflate_init(stream);  // the stateless variant leaves the window size as it finds it
  stream->level = level_;
  stream->level_buf = mutable_bytes(level_buffer_.room());
  stream->level_buf_size = static_cast<std::uint32_t>(level_buffer_.room().size());
  stream->flush = FULL_FLUSH;
  stream->end_of_stream = 0;
  stream->next_in = mutable_bytes(block);
  stream->avail_in = static_cast<std::uint32_t>(block.size());
  stream->next_out = mutable_bytes(room);
  stream->avail_out = static_cast<std::uint32_t>(room.size());
  CBUILD_CHECK(isal_deflate_stateless(stream) == COMP_OK && stream->avail_in == 0);
  out.advance(stream->total_out);
  return crc32_gzip_refl(0, mutable_bytes(block), block.size());
}

}  // namespace cbuild::oci::layer
