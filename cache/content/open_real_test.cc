// SPDX-License-Identifier: Apache-2.0
#include "cache/content/open_real.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::cache {
namespace {

/// The inode that a way of opening leads to; 0: nothing, 1: an error.
template <typename Open>
ino_t inode_of(const Open& open) {
  struct stat st {};
  try {
    const std::optional<UniqueFd> fd = open();
    return fd && ::fstat(fd->get(), &st) == 0 ? st.st_ino : 0;
  } catch (const Error&) {
    return 1;
  }
}

TEST_CASE("a name is opened part by part as the kernel does it in one call") {
  const TempDir dir = TempDir::in_tmp("open-real");
  sys::mkdir_all(dir.fd(), "a/b", 0755);
  sys::write_file_at(dir.fd(), "a/b/file", "text");
  REQUIRE(::symlinkat("a", dir.fd(), "link") == 0);
  REQUIRE(::symlinkat("file", dir.fd(), "a/b/last") == 0);
  for (const char* path : {"", ".", "a", "a/", "a/b/file", "a//b/./file", "a/b/file/x", "a/none", "none/x", "link",
                           "link/b", "a/b/last", "../x", ".."})
    for (const int flags : {O_RDONLY, O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY | O_DIRECTORY}) {
      CAPTURE(path);
      CAPTURE(flags);
      const ino_t whole = inode_of([&] { return open_real(dir.fd(), path, flags); });
      const ino_t parts = inode_of([&]() -> std::optional<UniqueFd> {
        UniqueFd fd(detail::open_by_parts(dir.fd(), *path == '\0' ? "." : path, flags));
        if (fd) return fd;
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
        throw_errno(errno, "open");
      });
      CHECK(whole == parts);
    }
}

}  // namespace
}  // namespace cbuild::cache
