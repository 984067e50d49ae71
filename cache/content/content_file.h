// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"

/// Files that hold the contents of many others, one after another.
namespace cbuild::cache {

/// Such a file while it is written. It consists of sections, which threads take in turns, each writing its own; the
/// digest of the whole is made of theirs.
class ContentFile {
 public:
  static constexpr std::size_t kSection = 1u << 20, kBlock = 512;

  /// The room that so many bytes take, in bytes.
  static constexpr std::size_t whole_blocks(std::size_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

  explicit ContentFile(UniqueFd file) : file_(std::move(file)) {}

  struct Written {
    std::uint64_t size = 0;
    Digest digest;  ///< digest_content()
  };
  /// After all that was appended has been flushed. Throws Error.
  Written finish();
  int fd() const { return file_.get(); }

 private:
  friend class ContentAppender;
  std::size_t take_sections(std::size_t count);
  void write_section(std::size_t index, std::span<const std::byte> whole, std::size_t used);

  UniqueFd file_;
  std::mutex mutex_;  // guards digests_
  std::vector<Digest> digests_;
};

/// Appends to a ContentFile; each thread has its own.
class ContentAppender {
 public:
  explicit ContentAppender(ContentFile& file);

  /// Begins a piece of `size` bytes, which lies in the file as a whole, from a block on: its offset. All of
  /// it has to be given before the next.
  std::uint64_t begin(std::uint64_t size);
  /// Room for its next bytes, not empty.
  std::span<std::byte> room();
  /// As many bytes were put there. Throws Error.
  void advance(std::size_t count);
  /// A piece that is in memory: its offset. Throws Error.
  std::uint64_t append(std::string_view bytes);
  /// Writes what is still here. Throws Error.
  void flush();

 private:
  ContentFile& file_;
  std::unique_ptr<std::byte[]> buffer_;
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::size_t section_ = kNone, used_ = ContentFile::kSection;
  std::uint64_t left_ = 0;  ///< of the piece
};

/// The digest of a finished file, made of its sections'; empty if it ends before `size`. Throws Error.
Digest digest_content(int fd, std::uint64_t size);

}  // namespace cbuild::cache
