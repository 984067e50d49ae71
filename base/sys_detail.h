// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"

/// Shared by the .cc files of base/sys.h; not for other modules.
namespace cbuild::sys::detail {

/// Repeats a call that returns -1 until errno is not EINTR.
template <typename Call>
auto retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

struct DirEntry {
  const char* name;
  unsigned char type;  ///< DT_*; DT_UNKNOWN where the file system does not say
};

/// Reads an open directory by getdents64 without "." and "..". Borrows the descriptor.
class DirReader {
 public:
  explicit DirReader(int fd);
  /// The next entry, valid until the next call; nullptr at the end.
  const DirEntry* next();

 private:
  int fd_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t at_ = 0, end_ = 0;
  DirEntry entry_{};
};

/// openat2 without O_CREAT. Returns -1 and errno; repeats EINTR, and EAGAIN (a rename raced with the walk) a bounded
/// number of times.
int openat2(int dirfd, const char* path, int flags, std::uint64_t resolve);

enum class Escape {
  refuse,   ///< RESOLVE_BENEATH: absolute names and ".." above the root fail with EXDEV
  contain,  ///< RESOLVE_IN_ROOT: both end at the root
};

/// openat2 by hand, for kernels before 5.6: every component is opened without following, links are read as text.
/// Returns -1 and errno.
int walk(int rootfd, const std::string& path, int flags, Escape escape);

}  // namespace cbuild::sys::detail
