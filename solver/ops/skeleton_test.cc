// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/skeleton.h"

#include <doctest/doctest.h>

#include "solver/ops/ops_fixture.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::make_symlink;
using cache::testing::write_file;

std::vector<std::string> paths_of(const std::vector<sandbox::SkeletonEntry>& entries) {
  std::vector<std::string> paths;
  for (const sandbox::SkeletonEntry& entry : entries) paths.push_back(entry.path);
  return paths;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("a skeleton has the targets that the root lacks, with their parents") {
  World world;
  const Result root = world.base([](int tree) {
    mkdirat(tree, "etc", 0700);
    fchmodat(tree, "etc", 01750, 0);
    fchownat(tree, "etc", 3, 4, 0);
    const struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_sec = 5, .tv_nsec = 6}};
    write_file(tree, "etc/hosts", "x");
    utimensat(tree, "etc", times, 0);
  });
  const cache::TreeView view = world.view(root);
  CHECK(skeleton_for(view, {{"/etc", true}, {"/etc/hosts", false}, {"/", true}}).empty());
  const auto entries = skeleton_for(view, {{"/etc/resolv.conf", false}, {"/a/b", true}});
  REQUIRE(paths_of(entries) == Paths{"a", "a/b", "etc", "etc/resolv.conf"});
  CHECK(entries[0] == sandbox::SkeletonEntry{.path = "a"});
  CHECK(entries[1] == sandbox::SkeletonEntry{.path = "a/b"});
  // The directory that is there looks as before in the merged view.
  CHECK(entries[2].mode == 01750);
  CHECK(entries[2].uid == 3);
  CHECK(entries[2].gid == 4);
  CHECK(entries[2].mtime_ns == 5'000'000'006);
  CHECK_FALSE(entries[3].directory);
  CHECK(entries[3].mode == 0644);
}

TEST_CASE("a target below another lies inside of its mount, but not below a file") {
  World world;
  const cache::TreeView empty({}, true);
  CHECK(paths_of(skeleton_for(empty, {{"/m", true}, {"/m/in", true}})) == Paths{"m"});
  CHECK(paths_of(skeleton_for(empty, {{"/m", true}, {"/mm", true}})) == Paths{"m", "mm"});
}

TEST_CASE("a target behind a link is made where the link leads, and none below a file") {
  World world;
  const Result root = world.base([](int tree) {
    mkdirat(tree, "real", 0755);
    make_symlink(tree, "real", "link");
    write_file(tree, "file", "x");
  });
  const cache::TreeView view = world.view(root);
  CHECK(paths_of(skeleton_for(view, {{"/link/m", true}})) == Paths{"real", "real/m"});
  CHECK(skeleton_for(view, {{"/file/m", true}}).empty());
}

TEST_CASE("equal skeletons are one directory, which has their entries") {
  World world;
  Skeletons skeletons(world.store);
  CHECK(skeletons.directory({}) == -1);
  const std::vector<sandbox::SkeletonEntry> entries{
      {.path = "d", .mode = 01750, .uid = 3, .gid = 4, .mtime_ns = 5'000'000'006},
      {.path = "d/f", .directory = false, .mode = 0640}};
  const int made = skeletons.directory(entries);
  CHECK(skeletons.directory(entries) == made);
  CHECK(skeletons.directory({entries[0]}) != made);
  const struct stat directory = sys::stat_at(made, "d"), file = sys::stat_at(made, "d/f");
  CHECK((directory.st_mode & 07777) == 01750);
  CHECK(directory.st_uid == 3);
  CHECK(directory.st_gid == 4);
  CHECK(directory.st_mtim.tv_sec == 5);
  CHECK(directory.st_mtim.tv_nsec == 6);
  CHECK(S_ISREG(file.st_mode));
  CHECK((file.st_mode & 07777) == 0640);
}

}  // namespace cbuild::solver::ops
