// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "cache/content/test_files.h"
#include "cache/content/tree_digest.h"

/// For the tests of this module only.
namespace cbuild::cache::testing {

inline Selector all_of(std::vector<std::string> paths = {""}) {
  Selector selection;
  selection.paths = std::move(paths);
  return selection;
}

struct Context {
  TempDir temp = TempDir::in_tmp("cbuild-content-test-");
  std::string path = temp.path() + "/ctx";
  UniqueFd dir, scans;

  Context() {
    sys::mkdir_all(AT_FDCWD, path, 0755);
    dir = sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    sys::mkdir_all(AT_FDCWD, temp.path() + "/scans", 0700);
    scans = sys::open_at(AT_FDCWD, temp.path() + "/scans", O_RDONLY | O_DIRECTORY);
  }
  int fd() const { return dir.get(); }
  void base() const {
    write_file(fd(), "src/main.c", "int main;");
    write_file(fd(), "src/lib/a.c", "a");
    write_file(fd(), "src/lib/b.c", "b");
    write_file(fd(), "README", "read me");
    make_symlink(fd(), "src/main.c", "link");
    sys::mkdir_all(fd(), "empty", 0755);
  }
  LocalTree local_tree(const std::vector<std::string>& ignore = {}) const {
    return {[this] { return scans.get(); }, path, ignore};
  }
  TreeView view() const { return TreeView::of_directory(fd()); }
  Digest local(const Selector& selection, const std::vector<std::string>& ignore = {},
               std::vector<KeyPart>* parts = nullptr) {
    LocalTree tree = local_tree(ignore);
    const Digest digest = tree.digest(selection, parts);
    tree.save();
    return digest;
  }
  /// Both ways, which must agree.
  Digest digest(const Selector& selection, const std::vector<std::string>& ignore = {}) {
    const Digest from_view = digest_tree(view(), selection, PathPatternList(ignore));
    CHECK(local(selection, ignore) == from_view);
    CHECK(local(selection, ignore) == from_view);  // warm
    return from_view;
  }
};

inline void set_mtime(int dirfd, const std::string& path, time_t seconds) {
  const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
  ::utimensat(dirfd, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

}  // namespace cbuild::cache::testing
