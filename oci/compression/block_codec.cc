// SPDX-License-Identifier: Apache-2.0
// gzip at the fast levels is ISA-L's deflate, two to three times as fast as libdeflate's level 1. Its blocks can be
// made by many threads and joined to one member, whose CRC-32 is combined from theirs. Only ISA-L's levels 1 and 2 are
// used: their matcher is the same algorithm for every instruction set of x86-64, while level 3 takes another one under
// AVX2 and would make the bytes depend on the processor. Levels from 4 on are libdeflate's; it can only write whole
// members, so every block is one.
#include "oci/compression/block_codec.h"

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/isal_blocks.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kGzipBlock = 512u << 10;
constexpr std::size_t kZstdBlock = 1u << 20;
constexpr int kFastGzipLevels = 3, kMaxGzipLevel = 12, kDefaultZstdLevel = 1;

class DeflateMembers {
 public:
  explicit DeflateMembers(int level) : compressor_(libdeflate_alloc_compressor(level)) {
    if (!compressor_) throw std::bad_alloc();
  }

  std::uint32_t append(std::span<const std::byte> block, RawBuffer& out) {
    out.reserve(out.size() + libdeflate_gzip_compress_bound(compressor_.get(), block.size()));
    const std::span<std::byte> room = out.room();
    const std::size_t size =
        libdeflate_gzip_compress(compressor_.get(), block.data(), block.size(), room.data(), room.size());
    CBUILD_CHECK(size > 0);
    out.advance(size);
    return 0;
  }

 private:
  struct Free {
    void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
  };
  std::unique_ptr<libdeflate_compressor, Free> compressor_;
};

class ZstdFrames {
 public:
  explicit ZstdFrames(int level) : level_(level == 0 ? kDefaultZstdLevel : level), context_(ZSTD_createCCtx()) {
    if (!context_) throw std::bad_alloc();
  }

  std::uint32_t append(std::span<const std::byte> block, RawBuffer& out) {
    out.reserve(out.size() + ZSTD_compressBound(block.size()));
    const std::span<std::byte> room = out.room();
    const std::size_t size =
        ZSTD_compressCCtx(context_.get(), room.data(), room.size(), block.data(), block.size(), level_);
    if (ZSTD_isError(size)) throw Error(ErrorCode::internal, cat("zstd: ", ZSTD_getErrorName(size)));
    out.advance(size);
    return 0;
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  int level_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class PlainCopy {
 public:
  std::uint32_t append(std::span<const std::byte> block, RawBuffer& out) {
    out.append(block);
    return 0;
  }
};

using AnyCodec = std::variant<PlainCopy, IsalBlocks, DeflateMembers, ZstdFrames>;

AnyCodec make_codec(BlockMethod method, int level) {
  switch (method) {
    case BlockMethod::copy:
      return PlainCopy();
    case BlockMethod::gzip_joined:
      return IsalBlocks(level <= 1 ? 1 : 2);
    case BlockMethod::gzip_members:
      return DeflateMembers(level);
    case BlockMethod::zstd_frames:
      return ZstdFrames(level);
  }
  check_failed("block method", __FILE__, __LINE__);
}

void append_le32(RawBuffer& out, std::uint32_t value) {
  std::array<std::byte, 4> bytes;
  for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  out.append(bytes);
}

}  // namespace

BlockMethod block_method(Compression compression, int level) {
  CBUILD_CHECK(compression != Compression::estargz);
  const int highest = compression == Compression::gzip ? kMaxGzipLevel : ZSTD_maxCLevel();
  if (compression != Compression::none && (level < 0 || level > highest)) {
    throw Error(ErrorCode::input, cat("compression level ", level, " is not between 0 and ", highest));
  }
  switch (compression) {
    case Compression::none:
      return BlockMethod::copy;
    case Compression::gzip:
      return level <= kFastGzipLevels ? BlockMethod::gzip_joined : BlockMethod::gzip_members;
    case Compression::zstd:
      return BlockMethod::zstd_frames;
    case Compression::estargz:
      break;
  }
  check_failed("compression", __FILE__, __LINE__);
}

std::size_t block_size(BlockMethod method) { return method == BlockMethod::zstd_frames ? kZstdBlock : kGzipBlock; }

struct BlockCodec::Impl {
  AnyCodec codec;
};

BlockCodec::BlockCodec(Compression compression, int level)
    : impl_(new Impl{make_codec(block_method(compression, level), level)}) {}
BlockCodec::~BlockCodec() = default;
BlockCodec::BlockCodec(BlockCodec&&) noexcept = default;
BlockCodec& BlockCodec::operator=(BlockCodec&&) noexcept = default;

std::uint32_t BlockCodec::append(std::span<const std::byte> block, RawBuffer& out) {
  return std::visit([&](auto& codec) { return codec.append(block, out); }, impl_->codec);
}

void StreamFrame::append_head(RawBuffer& out) const {
  if (method_ != BlockMethod::gzip_joined) return;
  // RFC 1952: deflate, no flags, no time, no extra flags, unknown operating system.
  constexpr std::array<unsigned char, 10> kHead = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
  out.append(std::as_bytes(std::span(kHead)));
}

void StreamFrame::add(std::uint32_t crc, std::size_t size) {
  if (method_ == BlockMethod::gzip_joined) {
    crc_ = static_cast<std::uint32_t>(crc32_combine(crc_, crc, static_cast<z_off_t>(size)));
  }
  size_ += size;
}

void StreamFrame::append_tail(RawBuffer& out) const {
  if (method_ != BlockMethod::gzip_joined) return;
  constexpr std::array<unsigned char, 2> kEmptyFinalBlock = {0x03,
                                                             0x00};  // RFC 1951: BFINAL, fixed codes, end of block
  out.append(std::as_bytes(std::span(kEmptyFinalBlock)));
  append_le32(out, crc_);
  append_le32(out, static_cast<std::uint32_t>(size_));
}

bool StreamFrame::needs_block() const {
  return method_ == BlockMethod::gzip_members || method_ == BlockMethod::zstd_frames;
}

}  // namespace cbuild::oci::layer
