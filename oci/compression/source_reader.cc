// SPDX-License-Identifier: Apache-2.0
#include "oci/compression/source_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kBufferSize = 256u << 10;

}  // namespace

ByteSource::ByteSource(int fd) : read_([fd](std::span<std::byte> room) { return sys::read_some(fd, room); }) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);  // fails on pipes, where it would mean nothing
}

SourceReader::SourceReader(ByteSource source, std::uint64_t limit, bool digested)
    : source_(std::move(source)),
      limit_(limit),
      digested_(digested),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferSize)) {}

std::size_t SourceReader::fill(std::span<std::byte> room) {
  const std::size_t got = source_.read(room);
  if (got > limit_ - total()) throw Error(ErrorCode::corrupt, cat("the blob is longer than its ", limit_, " bytes"));
  total_.fetch_add(got, std::memory_order_relaxed);
  if (digested_) sha_.update(room.first(got));
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
