// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/tree_walk.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using test::TreeMaker;

std::vector<std::string> walk_names(int rootfd) {
  std::vector<std::string> names;
  TreeWalk walk(rootfd);
  for (WalkEntry entry; walk.next(entry);) {
    CHECK(entry.path.substr(entry.name_at) == entry.name());
    names.push_back(entry.path);
  }
  return names;
}

/// Makes nested directories "d/d/d/...", which no path can name any more, and returns the deepest.
UniqueFd dig(int rootfd, int depth) {
  UniqueFd here = sys::open_at(rootfd, ".", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < depth; ++i) {
    sys::mkdir_at(here.get(), "d", 0755);
    here = sys::open_at(here.get(), "d", O_RDONLY | O_DIRECTORY);
  }
  return here;
}

TEST_CASE("parents come first and each directory is in byte order") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  TreeMaker(dir.fd()).file("a.txt").file("a/z").file("a/B").file("a-b").dir("b/c").file("b/c/d").file("b.d").file(
      "\xff");
  CHECK(walk_names(dir.fd()) ==
        std::vector<std::string>{"a", "a/B", "a/z", "a-b", "a.txt", "b", "b/c", "b/c/d", "b.d", "\xff"});
}

TEST_CASE("an empty tree has no entries") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  CHECK(walk_names(dir.fd()).empty());
}

TEST_CASE("types are known and symlinks are not followed") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  TreeMaker(dir.fd()).symlink("loop", ".").node("pipe", S_IFIFO | 0600).file("f");
  std::string types;
  TreeWalk walk(dir.fd());
  for (WalkEntry entry; walk.next(entry);) types += static_cast<char>('a' + entry.d_type);
  CHECK(types == std::string{'a' + DT_REG, 'a' + DT_LNK, 'a' + DT_FIFO});
}

TEST_CASE("deep trees need few descriptors") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  const UniqueFd deepest = dig(dir.fd(), 300);
  TreeMaker(deepest.get()).file("bottom");
  TreeMaker(dir.fd()).file("d/z-after");
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{140, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  const std::vector<std::string> names = walk_names(dir.fd());
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(names.size() == 302);
  CHECK(names[300].ends_with("d/bottom"));
  CHECK(names[301] == "d/z-after");
}

TEST_CASE("a path that is too long for the system is refused") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  dig(dir.fd(), 2050);
  CHECK_THROWS_AS(walk_names(dir.fd()), Error);
}

TEST_CASE("a large directory is read whole") {
  const TempDir dir = TempDir::in_tmp("cbuild-walk");
  TreeMaker maker(dir.fd());
  for (int i = 0; i < 3000; ++i) maker.file("file-with-a-rather-long-name-" + std::to_string(100000 + i));
  const std::vector<std::string> names = walk_names(dir.fd());
  CHECK(names.size() == 3000);
  CHECK(std::is_sorted(names.begin(), names.end()));
}

}  // namespace
}  // namespace cbuild::oci::layer
