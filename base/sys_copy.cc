// SPDX-License-Identifier: Apache-2.0
// File data from one regular file to another: a reflink when the file system shares blocks, else the kernel copies,
// else we do. Only the parts that hold data are touched, the holes come from the final size.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/writeback.h"

namespace cbuild::sys {

namespace {

constexpr std::size_t kBufferSize = 256u << 10;
/// Below this, one read and one write beat all that asks the file system for more.
constexpr std::size_t kSmall = 64u << 10;
constexpr std::size_t kMaxChunk = 32u << 20;

bool reflink(int from, int to, const struct stat& source, std::uint64_t size) {
  if (static_cast<std::uint64_t>(source.st_size) != size || stat_fd(to).st_size != 0) return false;
  return ::ioctl(to, FICLONE, from) == 0;
}

bool has_holes(const struct stat& st) {
  constexpr off_t kBlock = 512;  // of st_blocks, on every file system
  return st.st_blocks * kBlock < st.st_size;
}

/// Copies [begin, end); the offset reached, which is less than `end` where the kernel cannot (go on by hand).
off_t copy_in_kernel(int from, int to, off_t begin, off_t end) {
  while (begin < end) {
    off_t in = begin, out = begin;
    const std::size_t count = std::min(static_cast<std::size_t>(end - begin), kMaxChunk);
    const ssize_t done = detail::retry([&] { return ::copy_file_range(from, &in, to, &out, count, 0); });
    if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) throw_errno(errno, "copy file data");
    if (done <= 0) return begin;
    start_writeback(to, begin, done);
    begin += done;
  }
  return end;
}

void copy_through(std::span<char> buffer, int from, int to, off_t begin, off_t end) {
  while (begin < end) {
    const std::size_t count = std::min(static_cast<std::size_t>(end - begin), buffer.size());
    const ssize_t size = detail::retry([&] { return ::pread(from, buffer.data(), count, begin); });
    if (size < 0) throw_errno(errno, "pread");
    if (size == 0) throw Error(ErrorCode::io, "copy file data: the source is shorter than expected");
    pwrite_all(to, {buffer.data(), static_cast<std::size_t>(size)}, begin);
    begin += size;
  }
}

void copy_small(int from, int to, off_t size) {
  std::array<char, kSmall> buffer;
  copy_through(buffer, from, to, 0, size);
}

void copy_by_hand(int from, int to, off_t begin, off_t end) {
  if (begin >= end) return;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferSize);
  copy_through({buffer.get(), kBufferSize}, from, to, begin, end);
}

/// The first data range at or after `at` below `size`; the whole rest where holes are not reported.
struct Range {
  off_t begin, end;
};
Range next_data(int from, off_t at, off_t size) {
  const off_t begin = ::lseek(from, at, SEEK_DATA);
  if (begin < 0) return errno == ENXIO ? Range{size, size} : Range{at, size};
  const off_t end = ::lseek(from, begin, SEEK_HOLE);
  return {std::min(begin, size), end < 0 ? size : std::min(end, size)};
}

}  // namespace

void start_writeback(int fd, off_t begin, off_t size) noexcept {
  constexpr off_t kWorthwhile = 4 << 20;
  if (size >= kWorthwhile) (void)::sync_file_range(fd, begin, size, SYNC_FILE_RANGE_WRITE);
}

void copy_file_data(int from, int to, std::uint64_t size) {
  const off_t total = static_cast<off_t>(size);
  const struct stat source = stat_fd(from);
  if (source.st_size < total) throw Error(ErrorCode::io, "copy file data: the source is shorter than expected");
  if (size <= kSmall && !has_holes(source)) return copy_small(from, to, total);
  if (reflink(from, to, source, size)) return;
  off_t written = 0;
  for (off_t at = 0; at < total;) {
    const Range data = next_data(from, at, total);
    copy_by_hand(from, to, copy_in_kernel(from, to, data.begin, data.end), data.end);
    if (data.begin < data.end) written = data.end;
    at = data.end;
  }
  if (written == total) return;
  if (detail::retry([&] { return ::ftruncate(to, total); }) != 0) throw_errno(errno, "ftruncate");
}

}  // namespace cbuild::sys
