// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::sys {

namespace {

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("did not throw");
  return ErrorCode::internal;
}

bool exists(int dirfd, const std::string& path) { return try_stat_at(dirfd, path).has_value(); }

}  // namespace

TEST_CASE("open_at is close-on-exec and names the path in errors") {
  TempDir dir = TempDir::in_tmp("sys-");
  const UniqueFd fd = open_at(dir.fd(), "f", O_WRONLY | O_CREAT, 0600);
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((stat_fd(fd.get()).st_mode & 0777) == 0600);
  try {
    open_at(dir.fd(), "missing", O_RDONLY);
    FAIL("did not throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(std::string(error.what()) == "open missing: No such file or directory");
  }
  CHECK(try_open_at(dir.fd(), "missing", O_RDONLY) == std::nullopt);
  CHECK(try_open_at(dir.fd(), "f/below", O_RDONLY) == std::nullopt);
  CHECK(try_open_at(dir.fd(), "f", O_RDONLY).has_value());
  CHECK(code_of([&] { try_open_at(dir.fd(), "f", O_WRONLY | O_DIRECTORY | O_CREAT, 0600); }) == ErrorCode::io);
}

TEST_CASE("mkdir tells a new directory from an old one and from something else") {
  TempDir dir = TempDir::in_tmp("sys-");
  CHECK(mkdir_at(dir.fd(), "d", 0750));
  CHECK((stat_at(dir.fd(), "d").st_mode & 0700) == 0700);
  CHECK_FALSE(mkdir_at(dir.fd(), "d", 0750));
  write_file_at(dir.fd(), "f", "");
  CHECK(code_of([&] { mkdir_at(dir.fd(), "f", 0700); }) == ErrorCode::io);
  CHECK(code_of([&] { mkdir_at(dir.fd(), "x/y", 0700); }) == ErrorCode::not_found);
  REQUIRE(::symlinkat("d", dir.fd(), "link") == 0);
  CHECK(code_of([&] { mkdir_at(dir.fd(), "link", 0700); }) == ErrorCode::io);
}

TEST_CASE("mkdir_all makes missing directories") {
  TempDir dir = TempDir::in_tmp("sys-");
  mkdir_all(dir.fd(), "a/b/../c//d", 0755);
  CHECK(exists(dir.fd(), "a/c/d"));
  mkdir_all(dir.fd(), "a/c/d", 0755);
  mkdir_all(dir.fd(), ".", 0755);
  mkdir_all(dir.fd(), dir.path() + "/x/y", 0755);
  CHECK(exists(dir.fd(), "x/y"));
  write_file_at(dir.fd(), "f", "");
  CHECK(code_of([&] { mkdir_all(dir.fd(), "f", 0755); }) == ErrorCode::io);
  CHECK(code_of([&] { mkdir_all(dir.fd(), "f/a", 0755); }) == ErrorCode::io);
}

TEST_CASE("stat and readlink") {
  TempDir dir = TempDir::in_tmp("sys-");
  const std::string target(1000, 'x');
  REQUIRE(::symlinkat(target.c_str(), dir.fd(), "link") == 0);
  CHECK(S_ISLNK(stat_at(dir.fd(), "link").st_mode));
  CHECK(readlink_at(dir.fd(), "link") == target);
  CHECK(try_stat_at(dir.fd(), "missing") == std::nullopt);
  write_file_at(dir.fd(), "f", "");
  CHECK(try_stat_at(dir.fd(), "f/x") == std::nullopt);
  CHECK(code_of([&] { stat_at(dir.fd(), "missing"); }) == ErrorCode::not_found);
  CHECK(code_of([&] { readlink_at(dir.fd(), "missing"); }) == ErrorCode::not_found);
  CHECK(S_ISDIR(stat_fd(dir.fd()).st_mode));
  CHECK_THROWS_AS(stat_fd(-1), Error);
}

TEST_CASE("rename_at replaces, rename_noreplace does not") {
  TempDir dir = TempDir::in_tmp("sys-");
  write_file_at(dir.fd(), "a", "a");
  write_file_at(dir.fd(), "b", "b");
  CHECK_FALSE(rename_noreplace(dir.fd(), "a", dir.fd(), "b"));
  CHECK(read_file_at(dir.fd(), "b", 9) == "b");
  CHECK(rename_noreplace(dir.fd(), "a", dir.fd(), "c"));
  CHECK(read_file_at(dir.fd(), "c", 9) == "a");
  rename_at(dir.fd(), "c", dir.fd(), "b");
  CHECK(read_file_at(dir.fd(), "b", 9) == "a");
  mkdir_at(dir.fd(), "d", 0700);
  mkdir_at(dir.fd(), "e", 0700);
  CHECK_FALSE(rename_noreplace(dir.fd(), "d", dir.fd(), "e"));
  CHECK(rename_noreplace(dir.fd(), "d", dir.fd(), "g"));
  CHECK(code_of([&] { rename_noreplace(dir.fd(), "missing", dir.fd(), "x"); }) == ErrorCode::not_found);
  CHECK(code_of([&] { rename_at(dir.fd(), "missing", dir.fd(), "x"); }) == ErrorCode::not_found);
}

TEST_CASE("unlink_at says whether there was something") {
  TempDir dir = TempDir::in_tmp("sys-");
  write_file_at(dir.fd(), "f", "");
  mkdir_at(dir.fd(), "d", 0700);
  CHECK(unlink_at(dir.fd(), "f"));
  CHECK_FALSE(unlink_at(dir.fd(), "f"));
  CHECK_THROWS_AS(unlink_at(dir.fd(), "d"), Error);
  CHECK(unlink_at(dir.fd(), "d", AT_REMOVEDIR));
}

TEST_CASE("list_dir is sorted by bytes and can be asked again") {
  TempDir dir = TempDir::in_tmp("sys-");
  for (const char* name : {"b", "\xff", "a", "B", ".x"}) write_file_at(dir.fd(), name, "");
  const std::vector<std::string> expected = {".x", "B", "a", "b", "\xff"};
  CHECK(list_dir(dir.fd()) == expected);
  CHECK(list_dir(dir.fd()) == expected);
  const UniqueFd path_only = open_at(dir.fd(), ".", O_PATH);
  CHECK(list_dir(path_only.get()) == expected);
  const UniqueFd file = open_at(dir.fd(), "a", O_RDONLY);
  CHECK_THROWS_AS(list_dir(file.get()), Error);
}

TEST_CASE("list_dir reads directories of any size") {
  TempDir dir = TempDir::in_tmp("sys-");
  for (int i = 0; i < 3000; ++i)
    open_at(dir.fd(), "file-with-a-rather-long-name-" + std::to_string(i), O_CREAT | O_WRONLY, 0600);
  const auto names = list_dir(dir.fd());
  CHECK(names.size() == 3000);
  CHECK(std::is_sorted(names.begin(), names.end()));
}

}  // namespace cbuild::sys
