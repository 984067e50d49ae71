// SPDX-License-Identifier: Apache-2.0
// The merged view of layers, built by hand from directories: whiteouts, opaque directories, links, odd names, deep
// stacks.
#include "cache/content/tree.h"

#include <doctest/doctest.h>

#include "cache/test_support.h"
#include "cache/unpacker.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

struct Layers {
  TempDir dir = TempDir::in_tmp("cbuild-tree-test-");
  std::vector<UniqueFd> fds;  ///< bottom first
  int add() {
    const std::string name = std::to_string(fds.size());
    sys::mkdir_at(dir.fd(), name, 0755);
    fds.push_back(sys::open_at(dir.fd(), name, O_RDONLY | O_DIRECTORY));
    return fds.back().get();
  }
  TreeView view(bool overlay = true) {
    std::vector<UniqueFd> top_first;
    for (std::size_t i = fds.size(); i-- > 0;)
      top_first.push_back(sys::open_at(fds[i].get(), ".", O_PATH | O_DIRECTORY));
    return {std::move(top_first), overlay};
  }
};

std::string names(const TreeView& tree, const std::string& directory) {
  std::string out;
  for (const auto& entry : tree.list(directory)) out += (out.empty() ? "" : " ") + entry.name;
  return out;
}

}  // namespace

TEST_CASE("layers merge: replaced, added and deleted names") {
  Layers layers;
  const int bottom = layers.add(), top = layers.add();
  write_file(bottom, "etc/passwd", "old");
  write_file(bottom, "etc/keep", "keep");
  write_file(bottom, "etc/gone", "gone");
  write_file(bottom, "dir/a", "a");
  write_file(bottom, "was-dir/x", "x");
  write_file(bottom, "was-file", "f");
  write_file(top, "etc/passwd", "new");
  make_whiteout(top, "etc/gone");
  make_whiteout(top, "dir");
  write_file(top, "was-dir", "now a file");
  write_file(top, "was-file/y", "now a directory");
  const TreeView tree = layers.view();
  CHECK(names(tree, "") == "etc was-dir was-file");
  CHECK(names(tree, "etc") == "keep passwd");
  CHECK(tree.read_file("etc/passwd", 100) == "new");
  CHECK(tree.read_file("/etc/keep", 100) == "keep");
  CHECK(tree.lookup("etc/passwd")->layer == 0);
  CHECK(tree.lookup("etc/keep")->layer == 1);
  CHECK(tree.lookup("etc/keep")->name == "keep");
  CHECK_FALSE(tree.lookup("etc/gone"));
  CHECK_FALSE(tree.lookup("dir/a"));
  CHECK_FALSE(tree.lookup("was-dir/x"));
  CHECK_FALSE(tree.lookup("etc/passwd/x"));
  CHECK(S_ISDIR(tree.lookup("")->st.st_mode));
  CHECK(tree.read_file("was-file/y", 100) == "now a directory");
  CHECK_FALSE(tree.read_file("etc", 100));
  CHECK_THROWS_AS(tree.read_file("etc/keep", 2), Error);
  CHECK_THROWS_AS(tree.list("etc/keep"), Error);
  CHECK_THROWS_AS(tree.open("nope", O_RDONLY), Error);
}

TEST_CASE("an opaque directory hides the content of all layers below, whatever lies between") {
  Layers layers;
  const int a = layers.add(), b = layers.add(), c = layers.add(), d = layers.add();
  write_file(a, "d/sub/one", "1");
  write_file(b, "d/sub/two", "2");
  make_opaque(c, "d");
  write_file(c, "d/sub/three", "3");
  write_file(d, "d/sub/four", "4");
  const TreeView tree = layers.view();
  CHECK(names(tree, "d/sub") == "four three");
  CHECK_FALSE(tree.lookup("d/sub/one"));
  CHECK_FALSE(tree.lookup("d/sub/two"));
  CHECK(tree.xattrs("d").empty());
}

TEST_CASE("deleted and made again over three layers") {
  Layers layers;
  const int a = layers.add(), b = layers.add(), c = layers.add();
  write_file(a, "d/old", "1");
  make_whiteout(b, "d");
  write_file(c, "d/new", "2");
  const TreeView tree = layers.view();
  CHECK(names(tree, "d") == "new");
  CHECK_FALSE(tree.lookup("d/old"));
}

TEST_CASE("symlinks resolve in the merged view and never leave it") {
  Layers layers;
  const int bottom = layers.add(), top = layers.add();
  write_file(bottom, "usr/bin/tool", "tool");
  make_symlink(top, "usr/bin", "bin");
  make_symlink(top, "/usr/./bin/../bin/tool", "abs");
  make_symlink(top, "../../../../usr/bin/tool", "escape");
  make_symlink(top, "/etc/hostname-outside", "dangling");
  make_symlink(top, "loop2", "loop1");
  make_symlink(top, "loop1", "loop2");
  make_symlink(top, ".", "here");
  const TreeView tree = layers.view();
  CHECK(tree.resolve("bin/tool") == "usr/bin/tool");
  CHECK(tree.resolve("/abs") == "usr/bin/tool");
  CHECK(tree.resolve("escape") == "usr/bin/tool");
  CHECK(tree.resolve("here/here/here/bin") == "usr/bin");
  CHECK(tree.resolve("bin", false) == "bin");
  CHECK(tree.resolve("") == "");
  CHECK(tree.resolve("../..") == "");
  CHECK_FALSE(tree.resolve("dangling"));
  CHECK_FALSE(tree.resolve("abs/below-a-file"));
  CHECK_FALSE(tree.resolve("abs/.."));
  CHECK_THROWS_AS(tree.resolve("loop1"), Error);
  CHECK_THROWS_AS(tree.resolve_for_create("loop1/x"), Error);
  CHECK(tree.resolve_for_create("bin/new/deep") == "usr/bin/new/deep");
  CHECK(tree.resolve_for_create("dangling") == "etc/hostname-outside");
  CHECK(tree.resolve_for_create("bin/nope/../x") == "usr/bin/x");
  CHECK(tree.read_link("bin") == "usr/bin");
  CHECK_FALSE(tree.lookup("bin/tool"));
}

TEST_CASE("a chain of 255 links is followed, a longer one is not") {
  Layers layers;
  const int root = layers.add();
  write_file(root, "l0", "end");
  for (int i = 1; i <= 256; ++i) make_symlink(root, cat("l", i - 1), cat("l", i));
  const TreeView tree = layers.view();
  CHECK(tree.resolve("l255") == "l0");
  CHECK_THROWS_AS(tree.resolve("l256"), Error);
}

TEST_CASE("a plain directory has no whiteout rule and follows changes") {
  Layers layers;
  const int root = layers.add();
  make_whiteout(root, "looks-like-one");
  write_file(root, "d/a", "1");
  const TreeView tree = layers.view(false);
  CHECK(names(tree, "") == "d looks-like-one");
  CHECK(tree.read_file("d/a", 10) == "1");
  write_file(root, "d/b", "2");
  CHECK(names(tree, "d") == "a b");
  sys::remove_all_at(root, "d");
  make_symlink(root, "/etc", "d");
  CHECK_FALSE(tree.lookup("d/passwd"));
  CHECK_THROWS_AS(tree.open("d/passwd", O_RDONLY), Error);
  CHECK_FALSE(tree.resolve("d/passwd"));
}

TEST_CASE("an empty root") {
  const TreeView tree({}, true);
  CHECK(S_ISDIR(tree.lookup("")->st.st_mode));
  CHECK_FALSE(tree.lookup("x"));
  CHECK(tree.list("").empty());
  CHECK(tree.resolve_for_create("a/b") == "a/b");
}

TEST_CASE("hostile and odd names") {
  Layers layers;
  const int root = layers.add();
  const std::string odd = "new\nline\xff", long_name(255, 'x');
  write_file(root, odd, "1");
  write_file(root, long_name, "2");
  const TreeView tree = layers.view();
  CHECK(tree.read_file(odd, 10) == "1");
  CHECK(tree.read_file(long_name, 10) == "2");
  CHECK_FALSE(tree.lookup(std::string(256, 'x')));
  CHECK_FALSE(tree.resolve("a/" + std::string(5000, 'y')));
}

TEST_CASE("xattrs of the merged tree") {
  Layers layers;
  const int root = layers.add();
  write_file(root, "d/f", "1");
  make_opaque(root, "d");
  REQUIRE(sys::set_xattr_at(root, "d/f", {"user.mine", "v"}));
  CHECK(layers.view().xattrs("d/f") == std::vector<sys::Xattr>{{"user.mine", "v"}});
  CHECK(layers.view().xattrs("d").empty());
  CHECK(layers.view().xattrs("").empty());
  CHECK(layers.view(false).xattrs("d").size() == 1);
}

TEST_CASE("a deep stack of small layers: any lookup, with and without the index of names") {
  Layers layers;
  constexpr int kCount = 120;
  for (int i = 0; i < kCount; ++i) {
    const int layer = layers.add();
    write_file(layer, cat("app/f", i), std::to_string(i));
    write_file(layer, "app/last", std::to_string(i));
    if (i % 10 == 5) make_whiteout(layer, cat("app/f", i - 1));
  }
  const TreeView tree = layers.view();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kCount; ++i) {
      CAPTURE(i);
      CHECK(tree.lookup(cat("app/f", i)).has_value() == (i % 10 != 4));
    }
    CHECK(tree.read_file("app/last", 10) == std::to_string(kCount - 1));
    CHECK_FALSE(tree.lookup("none"));
  }
  CHECK(tree.list("app").size() == kCount - kCount / 10 + 1);
}

TEST_CASE("long chains are flattened below, and the view stays the same") {
  TempStore temp;
  Store store(temp.options());
  Digest chain;
  constexpr int kCount = 23;
  for (int i = 0; i < kCount; ++i) {
    chain = add_layer(store, chain, [&](int tree) {
              write_file(tree, cat("d", i % 3, "/f", i), std::to_string(i));
              ::fchmodat(tree, cat("d", i % 3).c_str(), 0700 + static_cast<mode_t>(i), 0);
              if (i == 7) make_whiteout(tree, "d0/f0");
              if (i == 9) make_opaque(tree, "d1");
            }).id;
  }
  const TreeView whole = open_view(store, chain);
  for (const unsigned most : {1u, 2u, 5u, 10u, 22u, 23u}) {
    CAPTURE(most);
    auto lowers = open_lowers(store, chain, most);
    CHECK(lowers.size() <= most);
    const TreeView flat(std::move(lowers), true);
    CHECK(names(flat, "") == names(whole, ""));
    for (const char* directory : {"d0", "d1", "d2"}) {
      CHECK(names(flat, directory) == names(whole, directory));
      CHECK(flat.lookup(directory)->st.st_mode == whole.lookup(directory)->st.st_mode);
      CHECK(flat.lookup(directory)->st.st_mtim.tv_nsec == whole.lookup(directory)->st.st_mtim.tv_nsec);
    }
    CHECK(flat.read_file("d1/f22", 10) == "22");
  }
  const auto again = open_lowers(store, chain, 5), once_more = open_lowers(store, chain, 5);
  CHECK(sys::stat_fd(again.back().get()).st_ino == sys::stat_fd(once_more.back().get()).st_ino);
}

TEST_CASE("a layer that a chain holds more than once is mounted once, at its topmost place") {
  TempStore temp;
  Store store(temp.options());
  const Chain first = add_layer(store, {}, [](int tree) {
    write_file(tree, "d/f", "x");
    write_file(tree, "d/g", "x");
  });
  const Chain removed = add_layer(store, first.id, [](int tree) { make_whiteout(tree, "d/f"); });
  SUBCASE("X, whiteout, X") {
    const Chain again = store.extend(removed.id, first.layer, {});
    CHECK(store.chain_layers(again.id) == std::vector<Digest>{first.layer, removed.layer, first.layer});
    const auto lowers = open_lowers(store, again.id);
    REQUIRE(lowers.size() == 2);
    CHECK(sys::stat_fd(lowers[0].get()).st_ino == sys::stat_fd(store.open_tree(first.layer).get()).st_ino);
    CHECK(open_view(store, again.id).read_file("d/f", 10) == "x");
    CHECK(open_view(store, again.id).read_file("d/g", 10) == "x");
  }
  SUBCASE("whiteout, X, whiteout") {
    const Chain twice = store.extend(store.extend(removed.id, first.layer, {}).id, removed.layer, {});
    CHECK(open_lowers(store, twice.id).size() == 2);
    CHECK_FALSE(open_view(store, twice.id).lookup("d/f"));
    CHECK(open_view(store, twice.id).read_file("d/g", 10) == "x");
  }
  SUBCASE("more often than overlay takes layers") {
    Digest chain = removed.id;
    for (int i = 0; i < 250; ++i) chain = store.extend(chain, i % 2 == 0 ? first.layer : removed.layer, {}).id;
    CHECK(store.chain_layers(chain).size() == 252);
    CHECK(open_lowers(store, chain, 1).size() == 1);  // flattened
    CHECK(open_lowers(store, chain).size() == 2);
    CHECK_FALSE(open_view(store, chain).lookup("d/f"));
    const TreeView flat(open_lowers(store, chain, 1), true);
    CHECK_FALSE(flat.lookup("d/f"));
    CHECK(flat.read_file("d/g", 10) == "x");
  }
}
