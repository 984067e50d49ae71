// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::sys {

namespace {

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

UniqueFd make_sparse(int dirfd, const std::string& name, off_t size, std::string_view data, off_t at) {
  UniqueFd fd = open_at(dirfd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  pwrite_all(fd.get(), data, at);
  REQUIRE(::ftruncate(fd.get(), size) == 0);
  return fd;
}

std::string contents(int fd) {
  REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
  return read_all(fd, SIZE_MAX);
}

}  // namespace

TEST_CASE("read_all reads files, pipes and files of unknown size") {
  TempDir dir = TempDir::in_tmp("io-");
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 300'000u}) {
    const std::string data = pattern(size);
    write_file_at(dir.fd(), "f", data);
    CHECK(read_file_at(dir.fd(), "f", size) == data);
  }
  CHECK(read_file_at(AT_FDCWD, "/proc/self/cmdline", 1 << 20).size() > 1);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd read(ends[0]), write(ends[1]);
  write_all(write.get(), "piped");
  write.reset();
  CHECK(read_all(read.get(), 5) == "piped");
}

TEST_CASE("read_all stops above the limit") {
  TempDir dir = TempDir::in_tmp("io-");
  write_file_at(dir.fd(), "f", "12345");
  try {
    read_file_at(dir.fd(), "f", 4);
    FAIL("did not throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    CHECK(std::string(error.what()) == "f: larger than the limit of 4 bytes");
  }
  const UniqueFd zero = open_at(AT_FDCWD, "/dev/zero", O_RDONLY);
  CHECK_THROWS_AS(read_all(zero.get(), 100'000), Error);
  CHECK(read_file_at(AT_FDCWD, "/dev/null", 0) == "");
}

TEST_CASE("read_some says 0 at the end") {
  TempDir dir = TempDir::in_tmp("io-");
  write_file_at(dir.fd(), "f", "abc");
  const UniqueFd fd = open_at(dir.fd(), "f", O_RDONLY);
  std::byte buffer[8];
  CHECK(read_some(fd.get(), buffer) == 3);
  CHECK(read_some(fd.get(), buffer) == 0);
  CHECK_THROWS_AS(read_some(-1, buffer), Error);
}

TEST_CASE("write_file_at replaces as a whole and leaves nothing else") {
  TempDir dir = TempDir::in_tmp("io-");
  mkdir_at(dir.fd(), "d", 0700);
  write_file_at(dir.fd(), "d/f", "old", 0600);
  const UniqueFd old = open_at(dir.fd(), "d/f", O_RDONLY);
  write_file_at(dir.fd(), "d/f", "new", 0600);
  CHECK(read_all(old.get(), 9) == "old");
  CHECK(read_file_at(dir.fd(), "d/f", 9) == "new");
  CHECK((stat_at(dir.fd(), "d/f").st_mode & 0777) == 0600);
  write_file_at(dir.fd(), std::string(250, 'n'), "long names have no room for a suffix");
  CHECK_THROWS_AS(write_file_at(dir.fd(), "missing/f", "x"), Error);
  mkdir_at(dir.fd(), "d/e", 0700);
  CHECK_THROWS_AS(write_file_at(dir.fd(), "d/e", "x"), Error);
  CHECK(list_dir(open_at(dir.fd(), "d", O_RDONLY).get()) == std::vector<std::string>{"e", "f"});
}

TEST_CASE("write_all reports a full device") {
  const UniqueFd full = open_at(AT_FDCWD, "/dev/full", O_WRONLY);
  try {
    write_all(full.get(), "x");
    FAIL("did not throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::no_space);
    CHECK(error.sys_errno() == ENOSPC);
  }
  CHECK_THROWS_AS(pwrite_all(-1, "x", 0), Error);
}

TEST_CASE("copy_file_data copies data and keeps holes") {
  TempDir dir = TempDir::in_tmp("io-");
  struct Case {
    off_t size;
    std::size_t data;
    off_t at;
  };
  for (const auto& [size, data, at] :
       {Case{0, 0, 0}, Case{10, 10, 0}, Case{700'000, 700'000, 0}, Case{64 << 20, 5000, 32 << 20}, Case{64 << 20, 0, 0},
        Case{1 << 20, 4096, 0}, Case{1 << 20, 4096, (1 << 20) - 4096}}) {
    const UniqueFd from = make_sparse(dir.fd(), "from", size, pattern(data), at);
    const UniqueFd to = open_at(dir.fd(), "to", O_RDWR | O_CREAT | O_TRUNC, 0600);
    copy_file_data(from.get(), to.get(), static_cast<std::uint64_t>(size));
    CHECK(stat_fd(to.get()).st_size == size);
    CHECK(stat_fd(to.get()).st_blocks <= stat_fd(from.get()).st_blocks + 256);
    CHECK(contents(to.get()) == contents(from.get()));
  }
}

TEST_CASE("copy_file_data copies a part, and says when the source is too short") {
  TempDir dir = TempDir::in_tmp("io-");
  write_file_at(dir.fd(), "from", pattern(10'000));
  const UniqueFd from = open_at(dir.fd(), "from", O_RDONLY);
  UniqueFd to = open_at(dir.fd(), "to", O_RDWR | O_CREAT, 0600);
  copy_file_data(from.get(), to.get(), 5'000);
  CHECK(contents(to.get()) == pattern(10'000).substr(0, 5'000));
  to = open_at(dir.fd(), "to", O_RDWR | O_TRUNC);
  CHECK_THROWS_AS(copy_file_data(from.get(), to.get(), 10'001), Error);
  write_file_at(dir.fd(), "large", pattern(200'000));
  const UniqueFd large = open_at(dir.fd(), "large", O_RDONLY);
  CHECK_THROWS_AS(copy_file_data(large.get(), to.get(), 300'000), Error);
}

TEST_CASE("copy_file_data works between file systems") {
  TempDir dir = TempDir::in_tmp("io-");
  const auto shm = try_open_at(AT_FDCWD, "/dev/shm", O_RDONLY | O_DIRECTORY);
  if (!shm || stat_fd(shm->get()).st_dev == stat_fd(dir.fd()).st_dev) {
    MESSAGE("no second file system");
    return;
  }
  TempDir other(shm->get(), "io-");
  const UniqueFd from = make_sparse(dir.fd(), "from", 3 << 20, pattern(900'000), 1 << 20);
  const UniqueFd to = open_at(other.fd(), "to", O_RDWR | O_CREAT, 0600);
  copy_file_data(from.get(), to.get(), 3 << 20);
  CHECK(contents(to.get()) == contents(from.get()));
}

TEST_CASE("extended attributes of files, symlinks and special files") {
  TempDir dir = TempDir::in_tmp("io-");
  write_file_at(dir.fd(), "f", "");
  if (!set_xattr_at(dir.fd(), "f", {"user.b", "2"})) {
    MESSAGE("no extended attributes here");
    return;
  }
  const std::string large(3000, 'x');
  CHECK(set_xattr_at(dir.fd(), "f", {"user.a", std::string("\0z", 2)}));
  CHECK(set_xattr_at(dir.fd(), "f", {"user.c", large}));
  const std::vector<Xattr> expected = {{"user.a", std::string("\0z", 2)}, {"user.b", "2"}, {"user.c", large}};
  CHECK(list_xattrs_at(dir.fd(), "f") == expected);
  CHECK(list_xattrs(open_at(dir.fd(), "f", O_RDONLY).get()) == expected);
  CHECK(list_xattrs_at(AT_FDCWD, dir.path() + "/f") == expected);

  REQUIRE(::symlinkat("f", dir.fd(), "link") == 0);
  CHECK(list_xattrs_at(dir.fd(), "link").empty());
  CHECK_FALSE(set_xattr_at(dir.fd(), "link", {"user.a", "x"}));
  if (::geteuid() == 0 && set_xattr_at(dir.fd(), "link", {"trusted.t", "x"}))
    CHECK(list_xattrs_at(dir.fd(), "link") == std::vector<Xattr>{{"trusted.t", "x"}});
  CHECK(list_xattrs_at(dir.fd(), "f") == expected);
  CHECK_THROWS_AS(list_xattrs_at(dir.fd(), "missing"), Error);
  CHECK_THROWS_AS(set_xattr_at(dir.fd(), "missing", {"user.a", ""}), Error);
}

TEST_CASE("extended attributes are empty where there are none") {
  const UniqueFd proc = open_at(AT_FDCWD, "/proc", O_RDONLY);
  CHECK(list_xattrs(proc.get()).empty());
  CHECK(list_xattrs_at(proc.get(), "version").empty());
  CHECK_FALSE(set_xattr_at(proc.get(), "version", {"user.a", "x"}));
}

TEST_CASE("clocks and the boot id") {
  CHECK(now_ns() > 1'700'000'000'000'000'000);
  const std::int64_t before = monotonic_ns();
  CHECK(monotonic_ns() >= before);
  CHECK(boot_id().size() == 36);
  CHECK(&boot_id() == &boot_id());
  CHECK(fd_path(7) == "/proc/self/fd/7");
}

}  // namespace cbuild::sys
