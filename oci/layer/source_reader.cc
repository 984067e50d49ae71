// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/source_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kBufferSize = 256u << 10;

}  // namespace

SourceReader::SourceReader(int fd, std::uint64_t limit)
    : fd_(fd), limit_(limit), buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferSize)) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);  // fails on pipes, where it would mean nothing
}

std::size_t SourceReader::fill(std::span<std::byte> room) {
  const std::size_t got = sys::read_some(fd_, room);
  if (got > limit_ - total()) throw Error(ErrorCode::corrupt, cat("the blob is longer than its ", limit_, " bytes"));
  total_.fetch_add(got, std::memory_order_relaxed);
  sha_.update(room.first(got));
  return got;
}

std::span<const std::byte> SourceReader::peek(std::size_t count) {
  CBUILD_CHECK(count <= kBufferSize);
  while (peeked_ < count) {
    const std::size_t got = fill({buffer_.get() + peeked_, kBufferSize - peeked_});
    if (got == 0) break;
    peeked_ += got;
  }
  return {buffer_.get(), peeked_};
}

std::span<const std::byte> SourceReader::next() {
  std::size_t size = peeked_;
  peeked_ = 0;
  if (size == 0) size = fill({buffer_.get(), kBufferSize});
  return {buffer_.get(), size};
}

std::size_t SourceReader::read(std::span<std::byte> room) {
  if (taken_ == peeked_) return fill(room);
  const std::size_t count = std::min(room.size(), peeked_ - taken_);
  std::memcpy(room.data(), buffer_.get() + taken_, count);
  taken_ += count;
  return count;
}

void SourceReader::drain() {
  while (fill({buffer_.get(), kBufferSize}) > 0) {
  }
}

}  // namespace cbuild::oci::layer
