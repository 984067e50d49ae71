// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Numbers of the format on disk, as the kernel has them; all are little-endian.
namespace cbuild::oci::erofs {

inline constexpr unsigned kBlockBits = 9;  ///< tar's blocks, so that any file's content begins on one of ours
inline constexpr std::uint64_t kBlock = 1u << kBlockBits;
inline constexpr std::size_t kSuperAt = 1024, kSuperSize = 128, kSlotSize = 128;
inline constexpr std::size_t kInodeSize = 64, kNidUnit = 32, kDirentSize = 12, kChunkIndexSize = 8;
inline constexpr std::size_t kXattrHeaderSize = 12, kXattrEntrySize = 4;
inline constexpr std::uint32_t kMagic = 0xE0F5E1E2, kNoBlock = 0xFFFFFFFF;
inline constexpr std::uint32_t kCompatMtime = 2, kIncompatChunked = 4, kIncompatDevices = 8;

/// How the content of an inode is laid out.
enum class DataLayout : std::uint16_t { plain = 0, in_inode = 2, chunks = 4 };
inline constexpr std::uint16_t kExtendedInode = 1, kChunkIndexes = 0x20;
inline constexpr unsigned kMaxChunkBits = 31;  ///< above kBlockBits

inline constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

/// Puts integers into an image that is large enough.
class ImagePart {
 public:
  ImagePart(std::string& image, std::uint64_t at) : image_(image), at_(at) {}
  template <typename T>
  ImagePart& put(std::size_t offset, T value) {
    for (std::size_t i = 0; i < sizeof value; ++i)
      image_[at_ + offset + i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
    return *this;
  }
  ImagePart& text(std::size_t offset, std::string_view value) {
    image_.replace(at_ + offset, value.size(), value);
    return *this;
  }

 private:
  std::string& image_;
  std::uint64_t at_;
};

}  // namespace cbuild::oci::erofs
