// SPDX-License-Identifier: Apache-2.0
#include "base/plain_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::sys {
namespace {

std::string refusal(int dirfd, const std::string& path, Pipes pipes = Pipes::refused) {
  try {
    try_read_plain(dirfd, path, 100, pipes);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    return error.what();
  }
  return "read";
}

}  // namespace

TEST_CASE("a file is read, links to it are followed, a missing one is nothing") {
  const TempDir dir = TempDir::in_tmp("plain-");
  write_file_at(dir.fd(), "f", "text");
  REQUIRE(::symlinkat("f", dir.fd(), "link") == 0);
  CHECK(try_read_plain(dir.fd(), "f", 100) == "text");
  CHECK(try_read_plain(dir.fd(), "link", 100) == "text");
  CHECK(try_read_plain(dir.fd(), "none", 100) == std::nullopt);
  CHECK(try_read_plain(dir.fd(), "f/below", 100) == std::nullopt);
  CHECK(refusal(dir.fd(), "f").find("read") == 0);
  write_file_at(dir.fd(), "long", std::string(101, 'x'));
  CHECK(refusal(dir.fd(), "long") == "long: larger than the limit of 100 bytes");
}

TEST_CASE("a name that is not a file is refused by its kind, without waiting") {
  const TempDir dir = TempDir::in_tmp("plain-");
  REQUIRE(::mkfifoat(dir.fd(), "pipe", 0600) == 0);
  REQUIRE(::symlinkat("pipe", dir.fd(), "to-pipe") == 0);
  mkdir_at(dir.fd(), "sub", 0700);
  CHECK(refusal(dir.fd(), "pipe") == "pipe is a FIFO, not a file");
  CHECK(refusal(dir.fd(), "to-pipe") == "to-pipe is a FIFO, not a file");
  CHECK(refusal(dir.fd(), "sub") == "sub is a directory, not a file");
  CHECK(refusal(dir.fd(), "sub", Pipes::taken) == "sub is a directory, not a file");
  CHECK(refusal(AT_FDCWD, "/dev/zero") == "/dev/zero is a device, not a file");
  CHECK(refusal(AT_FDCWD, "/dev/zero", Pipes::taken) == "/dev/zero is a device, not a file");
  CHECK_THROWS_WITH(read_file_at(dir.fd(), "pipe", 100), "pipe is a FIFO, not a file");
  CHECK_THROWS_WITH(read_file_at(dir.fd(), "sub", 100), "sub is a directory, not a file");
}

TEST_CASE("the null device is an empty file") {
  CHECK(try_read_plain(AT_FDCWD, "/dev/null", 100) == "");
  CHECK(read_file_at(AT_FDCWD, "/dev/null", 100).empty());
}

TEST_CASE("a pipe that has a writer is read to its end where pipes are taken") {
  const TempDir dir = TempDir::in_tmp("plain-");
  REQUIRE(::mkfifoat(dir.fd(), "pipe", 0600) == 0);
  std::thread writer([&] {
    const UniqueFd fd = open_at(dir.fd(), "pipe", O_WRONLY);
    write_all(fd.get(), "some ");
    write_all(fd.get(), "text");
  });
  CHECK(try_read_plain(dir.fd(), "pipe", 100, Pipes::taken) == "some text");
  writer.join();
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd out(ends[1]);
  write_all(out.get(), "anonymous");
  out.reset();
  CHECK(try_read_plain(AT_FDCWD, fd_path(reader.get()), 100, Pipes::taken) == "anonymous");
}

TEST_CASE("a pipe that nobody writes to ends with an error") {
  const TempDir dir = TempDir::in_tmp("plain-");
  REQUIRE(::mkfifoat(dir.fd(), "pipe", 0600) == 0);
  CHECK(refusal(dir.fd(), "pipe", Pipes::taken) == "pipe is a FIFO that nobody writes to");
}

}  // namespace cbuild::sys
