// SPDX-License-Identifier: Apache-2.0
// Where a copy puts its files, and with which owner and mode, by BuildKit's rules.
#include "solver/ops/file_op.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "cache/store.h"
#include "oci/layer/test_support.h"
#include "solver/ops/write_tree.h"

using namespace cbuild;
using namespace cbuild::solver;
using namespace cbuild::solver::ops;
using oci::layer::test::TreeMaker;

namespace {

/// Carries out a copy from a tree of its own onto a base, and shows the written entries.
struct Copies {
  TempDir from = TempDir::in_tmp("cbuild-file-op-"), base = TempDir::in_tmp("cbuild-file-op-"),
          to = TempDir::in_tmp("cbuild-file-op-"), store_dir = TempDir::in_tmp("cbuild-file-op-");
  cache::Store store{{store_dir.path() + "/store", false}};
  bool local = false;

  TreeMaker source() { return TreeMaker(from.fd()); }
  TreeMaker below() { return TreeMaker(base.fd()); }
  void run(CopyAction action) { run_all({std::move(action)}); }
  void run_all(std::vector<FileAction> actions) {
    const cache::TreeView source_view = cache::TreeView::of_directory(from.fd());
    const cache::TreeView base_view = cache::TreeView::of_directory(base.fd());
    const FileOp op{std::move(actions)};
    write_tree(plan_file_actions(op, &base_view, {{}, {&source_view, nullptr, local}}, store, nullptr), to.fd(),
               nullptr, nullptr);
  }
  /// "d 755", "f 644" or "" if it is missing.
  std::string at(const std::string& path) const {
    const auto st = sys::try_stat_at(to.fd(), path);
    if (!st) return {};
    std::string mode;
    for (int shift = 9; shift >= 0; shift -= 3) mode += static_cast<char>('0' + (st->st_mode >> shift & 7));
    return cat(S_ISDIR(st->st_mode) ? "d " : "f ", mode);
  }
  bool hidden(const std::string& path) const {
    const auto st = sys::try_stat_at(to.fd(), path);
    return st && is_whiteout(*st);
  }
  std::string refusal(std::vector<FileAction> actions) {
    try {
      run_all(std::move(actions));
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  std::string owner(const std::string& path) const {
    const struct stat st = sys::stat_at(to.fd(), path);
    return cat(st.st_uid, ":", st.st_gid);
  }
};

}  // namespace

TEST_CASE("where a file goes") {
  Copies copies;
  copies.source().file("x", "new");
  copies.below().dir("d");
  SUBCASE("a slash at the end asks for a directory") {
    copies.run({.sources = {"x"}, .destination = "/new/"});
    CHECK(copies.at("new/x") == "f 0644");
  }
  SUBCASE("so does a dot") {
    copies.run({.sources = {"x"}, .destination = "/new/."});
    CHECK(copies.at("new/x") == "f 0644");
  }
  SUBCASE("a directory takes it") {
    copies.run({.sources = {"x"}, .destination = "/d"});
    CHECK(copies.at("d/x") == "f 0644");
  }
  SUBCASE("else it has the name itself") {
    copies.run({.sources = {"x"}, .destination = "/new"});
    CHECK(copies.at("new") == "f 0644");
  }
}

TEST_CASE("links of the image are followed from its root") {
  Copies copies;
  copies.source().file("x", "new");
  copies.below().dir("real").dir("deep").symlink("deep/link", "/real").symlink("deep/near", "../real");
  SUBCASE("an absolute one") { copies.run({.sources = {"x"}, .destination = "/deep/link/"}); }
  SUBCASE("a relative one") { copies.run({.sources = {"x"}, .destination = "/deep/near/"}); }
  CHECK(copies.at("real/x") == "f 0644");
  CHECK(copies.at("deep/real").empty());
}

TEST_CASE("directories that a copy makes on the way have its owner and the bits of an octal mode") {
  Copies copies;
  copies.source().file("x", "new");
  SUBCASE("plain") {
    copies.run({.sources = {"x"}, .destination = "/a/b/"});
    CHECK(copies.at("a") == "d 0755");
  }
  SUBCASE("an octal mode") {
    copies.run({.sources = {"x"}, .destination = "/a/b/", .chmod = "4710"});
    CHECK(copies.at("a") == "d 0710");
    CHECK(copies.at("a/b") == "d 0710");
    CHECK(copies.at("a/b/x") == "f 4710");
  }
  SUBCASE("a symbolic mode says nothing of them") {
    copies.run({.sources = {"x"}, .destination = "/a/b/", .chmod = "g-r"});
    CHECK(copies.at("a") == "d 0755");
    CHECK(copies.at("a/b/x") == "f 0604");
  }
}

TEST_CASE("owners of copied files") {
  Copies copies;
  if (!oci::layer::test::is_root()) {
    MESSAGE("skipped: needs root");
    return;
  }
  copies.source().file("x", "new").own("x", 12, 34);
  SUBCASE("of the context: root") {
    copies.local = true;
    copies.run({.sources = {"x"}, .destination = "/a/x"});
    CHECK(copies.owner("a/x") == "0:0");
  }
  SUBCASE("of another stage: kept") {
    copies.run({.sources = {"x"}, .destination = "/a/x"});
    CHECK(copies.owner("a/x") == "12:34");
    CHECK(copies.owner("a") == "0:0");
  }
  SUBCASE("--chown, for directories made on the way too") {
    copies.run({.sources = {"x"}, .destination = "/a/x", .chown = "5:6"});
    CHECK(copies.owner("a/x") == "5:6");
    CHECK(copies.owner("a") == "5:6");
  }
}

TEST_CASE("entries that a directory replaces") {
  Copies copies;
  copies.below().file("d", "a file");
  SUBCASE("a file, not even with nothing") { copies.source().dir("d"); }
  SUBCASE("a file") { copies.source().file("d/x", "new"); }
  try {
    copies.run({.sources = {"d"}, .destination = "/d"});
    FAIL("copied onto a file");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    CHECK(std::string(error.what()).find("cannot copy to non-directory: /d") != std::string::npos);
  }
}

TEST_CASE("excludes are relative to the copied directory") {
  Copies copies;
  copies.source().file("d/keep", "x").file("d/not", "x").file("d/sub/not", "x");
  copies.run({.sources = {"d"}, .destination = "/out", .excludes = {"not"}});
  CHECK(copies.at("out/keep") == "f 0644");
  CHECK(copies.at("out/not").empty());
  CHECK(copies.at("out/sub/not") == "f 0644");
}

TEST_CASE("--chmod says nothing of the directory an archive goes to") {
  Copies copies;
  copies.source().file("a.tar", oci::layer::test::make_tar({oci::layer::test::file_member("f", "content", 0640)}));
  copies.run({.sources = {"a.tar"}, .destination = "/new/", .chmod = "0700", .unpack = true});
  CHECK(copies.at("new") == "d 0755");
  CHECK(copies.at("new/f") == "f 0640");
}

TEST_CASE("a node that means a deleted file in a layer is refused, overlay's marks stay behind") {
  Copies copies;
  if (!oci::layer::test::is_root()) {
    MESSAGE("skipped: needs root");
    return;
  }
  copies.source().file("f", "x").xattr("f", "trusted.overlay.origin", "y").node("w", S_IFCHR | 0600, 0, 0);
  copies.source().node("null", S_IFCHR | 0640, 1, 3);
  copies.run({.sources = {"f", "null"}, .destination = "/d/"});
  CHECK(sys::list_xattrs(sys::open_at(copies.to.fd(), "d/f", O_RDONLY).get()).empty());
  CHECK(copies.at("d/null") == "f 0640");
  CHECK_THROWS_AS(copies.run({.sources = {"w"}, .destination = "/e/"}), Error);
}

TEST_CASE("removed names are hidden in the layer, unless they were made by it") {
  Copies copies;
  copies.below()
      .dir("d")
      .file("d/x", "1")
      .dir("d/sub")
      .file("d/sub/y", "2")
      .file("a.o", "3")
      .file("b.o", "4")
      .file("c", "5");
  SUBCASE("a file and a directory") {
    copies.run_all({RemoveAction{"/d/x"}, RemoveAction{"/d/sub"}});
    CHECK(copies.hidden("d/x"));
    CHECK(copies.hidden("d/sub"));
    CHECK(copies.at("c").empty());
  }
  SUBCASE("a wildcard") {
    copies.run_all({RemoveAction{"/*.o", true}});
    CHECK(copies.hidden("a.o"));
    CHECK(copies.hidden("b.o"));
    CHECK(copies.at("c").empty());
  }
  SUBCASE("a new file leaves nothing") {
    copies.run_all({MakeFileAction{"/new", "x"}, RemoveAction{"/new"}});
    CHECK(copies.at("new").empty());
  }
  SUBCASE("a file in the place of a removed directory") {
    copies.run_all({RemoveAction{"/d"}, MakeFileAction{"/d", "x"}});
    CHECK(copies.at("d") == "f 0644");
  }
  SUBCASE("a new directory has nothing of the old one") {
    copies.run_all({RemoveAction{"/d"}, MakeFileAction{"/d/sub/z", "x"}});
    CHECK(copies.at("d/sub/z") == "f 0644");
    CHECK(copies.hidden("d/x"));
    CHECK(copies.hidden("d/sub/y"));
  }
  SUBCASE("a removed name cannot be removed again") {
    CHECK(copies.refusal({RemoveAction{"/c"}, RemoveAction{"/c"}}) == "\"/c\": not found");
    CHECK(copies.refusal({RemoveAction{"/c"}, RemoveAction{"/c", false, false}}).empty());
    CHECK(copies.refusal({RemoveAction{"/"}}) == "the root cannot be removed");
  }
}

TEST_CASE("the last part of a removed path is not followed") {
  Copies copies;
  copies.below().dir("real").file("real/x", "1").symlink("link", "real");
  copies.run_all({RemoveAction{"/link/x"}, RemoveAction{"/link"}});
  CHECK(copies.hidden("real/x"));
  CHECK(copies.hidden("link"));
}

TEST_CASE("symlinks are made where nothing is, in a directory that exists") {
  Copies copies;
  copies.below().dir("d").file("f", "1");
  CHECK(copies.refusal({SymlinkAction{"../x", "/d/l", "3:4"}}).empty());
  CHECK(sys::readlink_at(copies.to.fd(), "d/l") == "../x");
  CHECK(copies.owner("d/l") == "3:4");
  CHECK(copies.refusal({SymlinkAction{"x", "/f", ""}}) == "\"/f\": it exists already");
  CHECK(copies.refusal({SymlinkAction{"x", "/no/l", ""}}) == "\"/no/l\": directory /no does not exist");
}

TEST_CASE("actions that make no parents need them") {
  Copies copies;
  copies.source().file("x", "new");
  copies.below().dir("d").file("old", "1", 0600);
  CHECK(copies.refusal({MakeFileAction{.path = "/no/f", .make_parents = false}}) ==
        "\"/no/f\": directory /no does not exist");
  CHECK(copies.refusal({MakeDirAction{.path = "/no/d", .make_parents = false}}) ==
        "\"/no/d\": directory /no does not exist");
  CopyAction copy{.sources = {"x"}, .destination = "/no/x"};
  copy.manner.make_parents = false;
  CHECK(copies.refusal({copy}) == "\"/no/x\": directory /no does not exist");
  copies.run_all({MakeDirAction{.path = "/d/n", .mode = 0700, .make_parents = false},
                  MakeFileAction{.path = "/old", .content = "2", .mode = 0644, .make_parents = false}});
  CHECK(copies.at("d/n") == "d 0700");
  CHECK(copies.at("old") == "f 0600");  // a file that exists keeps its mode
}

TEST_CASE("a directory as a whole") {
  Copies copies;
  copies.source().dir("s").file("s/x", "1").file("s/y.c", "2").symlink("l", "s/x");
  ::fchmodat(copies.from.fd(), "s", 0710, 0);
  copies.below().dir("d").file("f", "1");
  CopyAction copy{.sources = {"s"}, .destination = "/d"};
  copy.manner.contents = false;
  SUBCASE("below a destination that exists") {
    copies.run(copy);
    CHECK(copies.at("d/s") == "d 0710");
    CHECK(copies.at("d/s/x") == "f 0644");
  }
  SUBCASE("else in its place") {
    copy.destination = "/new";
    copies.run(copy);
    CHECK(copies.at("new") == "d 0710");
    CHECK(copies.at("new/x") == "f 0644");
  }
  SUBCASE("below what a slash says to be a directory") {
    copy.destination = "/new/";
    copies.run(copy);
    CHECK(copies.at("new/s/x") == "f 0644");
  }
  SUBCASE("only what is included, and directories that hold some of it") {
    copy.manner.includes = {"*.c"};
    copies.run(copy);
    CHECK(copies.at("d/s/y.c") == "f 0644");
    CHECK(copies.at("d/s/x").empty());
  }
  SUBCASE("paths that are needed") {
    copy.manner.needed = {"x"};
    CHECK(copies.refusal({copy}).empty());
    copy.manner.needed = {"z"};
    CHECK(copies.refusal({copy}) == "\"/s/z\": not found");
  }
  SUBCASE("a link is copied as one where it is not followed") {
    copy.sources = {"l"};
    copy.manner.follow = false;
    copies.run(copy);
    CHECK(sys::readlink_at(copies.to.fd(), "d/l") == "s/x");
  }
  SUBCASE("a wildcard that has to match") {
    copy.sources = {"n*"};
    CHECK(copies.refusal({copy}).empty());
    copy.manner.match = true;
    CHECK(copies.refusal({copy}) == "\"/n*\": not found");
  }
}

TEST_CASE("what is in the way of a copy is replaced if that is asked for") {
  Copies copies;
  copies.source().dir("s").dir("s/a").file("s/a/x", "1").file("s/b", "2");
  copies.below().file("a", "old").dir("b").file("b/c", "old");
  CopyAction copy{.sources = {"s"}, .destination = "/"};
  CHECK_FALSE(copies.refusal({copy}).empty());
  Copies again;
  again.source().dir("s").dir("s/a").file("s/a/x", "1").file("s/b", "2");
  again.below().file("a", "old").dir("b").file("b/c", "old");
  copy.manner.replace = true;
  again.run(copy);
  CHECK(again.at("a/x") == "f 0644");
  CHECK(again.at("b") == "f 0644");
}

TEST_CASE("names of owners are looked up in another input if that is asked for") {
  Copies copies;
  copies.source().dir("etc").file("etc/passwd", "ada:x:7:8::/:/bin/sh\n");
  MakeFileAction file{.path = "/f", .chown = "ada"};
  file.owner_input = 1;
  copies.run_all({file});
  CHECK(copies.owner("f") == "7:8");
}
