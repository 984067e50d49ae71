// SPDX-License-Identifier: Apache-2.0
// Names from outside must not lead out of a root: both ways to resolve them, the kernel's and ours, answer the same
// cases.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/sys_detail.h"

namespace cbuild::sys {

namespace {

/// A root with links that try to leave it, inside a directory that holds a secret.
///   secret  root/{file, dir/inner, up -> .., out -> ../../secret, abs -> /file, deep -> dir/../dir, loop -> loop,
///                 chain1 -> chain2 -> dir, etc -> /dir, magic -> /proc/self/cwd (absolute)}
class HostileTree {
 public:
  HostileTree() : dir_(TempDir::in_tmp("resolve-")) {
    write_file_at(dir_.fd(), "secret", "secret");
    mkdir_all(dir_.fd(), "root/dir", 0755);
    root_ = open_at(dir_.fd(), "root", O_RDONLY | O_DIRECTORY);
    write_file_at(root_.get(), "file", "file");
    write_file_at(root_.get(), "dir/inner", "inner");
    for (const auto& [target, name] : {std::pair{"..", "up"},
                                       {"../../secret", "out"},
                                       {"/file", "abs"},
                                       {"dir/../dir", "deep"},
                                       {"loop", "loop"},
                                       {"chain2", "chain1"},
                                       {"dir", "chain2"},
                                       {"/dir", "etc"},
                                       {"dir/", "slash"},
                                       {"file/", "fileslash"},
                                       {"gone", "dangling"}})
      REQUIRE(::symlinkat(target, root_.get(), name) == 0);
  }
  int root() const { return root_.get(); }
  int outside() const { return dir_.fd(); }

 private:
  TempDir dir_;
  UniqueFd root_;
};

struct Opened {
  int err = 0;
  ino_t inode = 0;
  bool operator==(const Opened&) const = default;
};

Opened result_of(int fd) {
  if (fd < 0) return {errno, 0};
  return {0, stat_fd(UniqueFd(fd).get()).st_ino};
}

Opened by_kernel(int root, const char* path, int flags, detail::Escape escape) {
  constexpr std::uint64_t kNoMagicLinks = 0x02, kBeneath = 0x08, kInRoot = 0x10;
  const std::uint64_t resolve = escape == detail::Escape::contain ? kInRoot : kBeneath;
  return result_of(detail::openat2(root, path, flags, resolve | kNoMagicLinks));
}

/// The kernel's answer for a chain of links. A lookup that had to start again (memory or a directory changed under it)
/// goes on counting links where it stopped, so a chain near the limit is sometimes too long: one success is the answer.
Opened chain_by_kernel(int root, const char* path) {
  Opened answer = by_kernel(root, path, O_RDONLY, detail::Escape::contain);
  for (int again = 0; again < 100 && answer.err == ELOOP; ++again)
    answer = by_kernel(root, path, O_RDONLY, detail::Escape::contain);
  return answer;
}

}  // namespace

TEST_CASE("open_in_root treats the descriptor as the root") {
  const HostileTree tree;
  const auto read = [&](const char* path) { return read_all(open_in_root(tree.root(), path, O_RDONLY).get(), 100); };
  CHECK(read("file") == "file");
  CHECK(read("/file") == "file");
  CHECK(read("abs") == "file");
  CHECK(read("../../file") == "file");
  CHECK(read("up/file") == "file");
  CHECK(read("etc/inner") == "inner");
  CHECK(read("chain1/inner") == "inner");
  CHECK_THROWS_AS(read("out"), Error);
  CHECK(try_open_in_root(tree.root(), "out", O_RDONLY) == std::nullopt);
  CHECK(try_open_in_root(tree.root(), "file/x", O_RDONLY) == std::nullopt);
  CHECK(try_open_in_root(tree.root(), "dir/inner", O_RDONLY).has_value());
  CHECK_THROWS_AS(try_open_in_root(tree.root(), "loop", O_RDONLY), Error);
}

TEST_CASE("open_beneath refuses every way out") {
  const HostileTree tree;
  CHECK(read_all(open_beneath(tree.root(), "dir/../file", O_RDONLY).get(), 100) == "file");
  CHECK(read_all(open_beneath(tree.root(), "chain1/inner", O_RDONLY).get(), 100) == "inner");
  for (const char* path : {"..", "../secret", "/file", "abs", "out", "up", "dir/../../secret", "etc/inner"})
    CHECK_THROWS_AS_MESSAGE(open_beneath(tree.root(), path, O_RDONLY), Error, std::string(path));
}

TEST_CASE("magic links are refused") {
  const UniqueFd proc = open_at(AT_FDCWD, "/proc/self", O_RDONLY | O_DIRECTORY);
  CHECK_THROWS_AS(open_beneath(proc.get(), "cwd", O_RDONLY), Error);
  CHECK_THROWS_AS(open_in_root(proc.get(), "exe", O_RDONLY), Error);
}

TEST_CASE("the walk for old kernels answers as the kernel does") {
  const HostileTree tree;
  for (const char* path :
       {"file",      "/file",       "//file",       "./file",    "dir",      "dir/",       "dir/.",        "dir/..",
        "dir/inner", "dir/inner/",  "dir/inner/x",  "abs",       "up",       "up/",        "up/file",      "out",
        "deep",      "deep/inner",  "deep/../file", "loop",      "loop/x",   "chain1",     "chain1/inner", "etc",
        "etc/inner", "slash",       "slash/inner",  "fileslash", "dangling", "dangling/x", "gone",         "gone/..",
        "..",        "../..",       "../secret",    "/",         ".",        "",           "file/",        "file/.",
        "file/..",   "../root/file"})
    for (const int flags :
         {O_RDONLY, O_PATH, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_PATH | O_NOFOLLOW, O_WRONLY})
      for (const auto escape : {detail::Escape::contain, detail::Escape::refuse}) {
        const Opened kernel = by_kernel(tree.root(), path, flags, escape);
        const Opened walk = result_of(detail::walk(tree.root(), path, flags, escape));
        CHECK_MESSAGE(kernel.err == walk.err, std::string(path), " flags ", flags, " escape ",
                      static_cast<int>(escape));
        CHECK(kernel.inode == walk.inode);
      }
}

TEST_CASE("the walk follows as many links as the kernel, and no more") {
  const TempDir dir = TempDir::in_tmp("resolve-");
  write_file_at(dir.fd(), "0", "end");
  for (int i = 1; i <= 60; ++i)
    REQUIRE(::symlinkat(std::to_string(i - 1).c_str(), dir.fd(), std::to_string(i).c_str()) == 0);
  std::size_t followed = 0;
  for (int i = 0; i <= 60; ++i) {
    CAPTURE(i);
    const Opened kernel = chain_by_kernel(dir.fd(), std::to_string(i).c_str());
    CHECK(result_of(detail::walk(dir.fd(), std::to_string(i), O_RDONLY, detail::Escape::contain)) == kernel);
    followed += kernel.err == 0;
  }
  CHECK(followed == 41);  // none to 40
}

TEST_CASE("the walk leaves magic links as the text they are") {
  const UniqueFd proc = open_at(AT_FDCWD, "/proc/self", O_RDONLY | O_DIRECTORY);
  CHECK(detail::walk(proc.get(), "exe", O_RDONLY, detail::Escape::refuse) == -1);
  CHECK(detail::walk(proc.get(), "exe", O_RDONLY, detail::Escape::contain) == -1);
}

TEST_CASE("a race with renames ends in a file of the tree, never outside") {
  const HostileTree tree;
  mkdir_all(tree.root(), "x/y/z", 0755);
  write_file_at(tree.root(), "x/y/z/f", "in");
  const std::jthread mover([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::renameat(tree.root(), "x/y", tree.outside(), "moved");
      ::renameat(tree.outside(), "moved", tree.root(), "x/y");
    }
  });
  for (int i = 0; i < 3000; ++i) {
    try {
      if (const auto fd = try_open_in_root(tree.root(), "x/y/z/../../../../secret", O_RDONLY))
        FAIL_CHECK("left the root");
      if (const auto fd = try_open_in_root(tree.root(), "x/y/z/f", O_RDONLY)) CHECK(read_all(fd->get(), 9) == "in");
    } catch (const Error& error) {
      CHECK(error.sys_errno() == EXDEV);  // lost the race each time: refused
    }
  }
}

}  // namespace cbuild::sys
