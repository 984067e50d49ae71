// SPDX-License-Identifier: Apache-2.0
// File data from one regular file to another: a reflink when the file system shares blocks, else the kernel copies, else
// we do. Only the parts that hold data are touched, the holes come from the final size.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"
#include "base/sys.h"
#include "base/sys_detail.h"

namespace cbuild::sys {

namespace {

constexpr std::size_t kBufferSize = 256u << 10;
constexpr std::size_t kMaxChunk = 1u << 30;

bool reflink(int from, int to, std::uint64_t size) {
  const struct stat source = stat_fd(from), target = stat_fd(to);
  if (static_cast<std::uint64_t>(source.st_size) != size || target.st_size != 0) return false;
  return ::ioctl(to, FICLONE, from) == 0;
}

/// Copies [begin, end); the offset reached, which is less than `end` where the kernel cannot (go on by hand).
off_t copy_in_kernel(int from, int to, off_t begin, off_t end) {
  while (begin < end) {
    off_t in = begin, out = begin;
    const std::size_t count = std::min(static_cast<std::size_t>(end - begin), kMaxChunk);
    const ssize_t done = detail::retry([&] { return ::copy_file_range(from, &in, to, &out, count, 0); });
    if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
      throw_errno(errno, "copy file data");
    if (done <= 0) return begin;
    begin += done;
  }
  return end;
}

void copy_by_hand(int from, int to, off_t begin, off_t end) {
  if (begin >= end) return;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferSize);
  while (begin < end) {
    const std::size_t count = std::min(static_cast<std::size_t>(end - begin), kBufferSize);
    const ssize_t size = detail::retry([&] { return ::pread(from, buffer.get(), count, begin); });
    if (size < 0) throw_errno(errno, "pread");
    if (size == 0) throw Error(ErrorCode::io, "copy file data: the source is shorter than expected");
    pwrite_all(to, {buffer.get(), static_cast<std::size_t>(size)}, begin);
    begin += size;
  }
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

void copy_file_data(int from, int to, std::uint64_t size) {
  if (reflink(from, to, size)) return;
  const off_t total = static_cast<off_t>(size);
  if (stat_fd(from).st_size < total)
    throw Error(ErrorCode::io, "copy file data: the source is shorter than expected");
  for (off_t at = 0; at < total;) {
    const Range data = next_data(from, at, total);
    copy_by_hand(from, to, copy_in_kernel(from, to, data.begin, data.end), data.end);
    at = data.end;
  }
  if (detail::retry([&] { return ::ftruncate(to, total); }) != 0) throw_errno(errno, "ftruncate");
}

}  // namespace cbuild::sys
