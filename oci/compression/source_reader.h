// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "base/digest.h"
#include "oci/compression/byte_source.h"

namespace cbuild::oci::layer {

/// Reads a blob in large pieces and digests every byte of it.
class SourceReader {
 public:
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  /// More than `limit` bytes throw Error{corrupt}. Without `digested` there is no digest().
  explicit SourceReader(ByteSource source, std::uint64_t limit = kUnlimited, bool digested = true);

  /// The first bytes, at least `count` unless the source is shorter; they come again out of next().
  std::span<const std::byte> peek(std::size_t count);
  /// The next bytes, valid until the next call; empty at the end.
  std::span<const std::byte> next();
  /// As next(), but into `room`; 0 at the end. Not to be mixed with next().
  std::size_t read(std::span<std::byte> room);
  /// Reads, digests and drops the rest.
  void drain();
  /// Bytes read so far; may be asked by any thread.
  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }
  /// Of all bytes; once, after drain(). Empty where it is not wanted.
  Digest digest() { return digested_ ? sha_.finish() : Digest(); }
  bool is_digested() const { return digested_; }

 private:
  std::size_t fill(std::span<std::byte> room);

  const ByteSource source_;
  const std::uint64_t limit_;
  const bool digested_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t peeked_ = 0, taken_ = 0;  ///< bytes that peek() put into the buffer, and how many of them read() gave out
  std::atomic<std::uint64_t> total_ = 0;
  Sha256 sha_;
};

}  // namespace cbuild::oci::layer
