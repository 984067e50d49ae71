// SPDX-License-Identifier: Apache-2.0
// A plan, the tree and the image that are written from it must give the same layer.
#include "solver/ops/planned_tree.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "cache/copy_entries.h"
#include "cache/copy_image.h"
#include "cache/store.h"
#include "oci/layer/pack.h"
#include "oci/layer/test_support.h"
#include "solver/ops/file_op.h"
#include "solver/ops/planned_walk.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_image.h"
#include "solver/ops/write_tree.h"

using namespace cbuild;
using namespace cbuild::solver;
using namespace cbuild::solver::ops;
using oci::layer::test::describe_tree;
using oci::layer::test::MemoryBlobs;
using oci::layer::test::TreeMaker;

namespace {

/// A directory to copy from, and one to write to.
struct Trees {
  TempDir source = TempDir::in_tmp("cbuild-plan-source-");
  TempDir written = TempDir::in_tmp("cbuild-plan-written-");
  TempDir store_dir = TempDir::in_tmp("cbuild-plan-store-");
  cache::Store store{{store_dir.path() + "/store", false}};
};

oci::layer::PackOptions plain() {
  oci::layer::PackOptions options;
  options.compression = oci::layer::Compression::none;
  return options;
}

std::string packed_straight(const PlannedTree& plan) {
  MemoryBlobs blobs;
  PlannedWalk entries(plan);
  return blobs.content(oci::layer::pack_planned(entries, blobs, plain()).descriptor.digest);
}

std::string packed_from(int tree) {
  MemoryBlobs blobs;
  return blobs.content(oci::layer::pack_layer(tree, blobs, plain()).descriptor.digest);
}

constexpr std::size_t kManyFiles = 1000;

/// The root of the plan as a layer of the store that is an image.
UniqueFd mounted_image(Trees& trees, const PlannedTree& plan, const Digest& series = sha256("series")) {
  cache::Layer layer;
  layer.id = cache::random_layer_id();
  add_copied_layer(trees.store, {}, layer, write_image(plan, {}, trees.store, series, nullptr), {});
  if (const auto entries = cache::open_copy_entries(trees.store, layer.id)) {
    MemoryBlobs blobs;
    CHECK(oci::layer::pack_planned(*entries, blobs, plain()).diff_id == sha256(packed_straight(plan)));
  }
  return sys::open_at(trees.store.open_tree(layer.id).get(), ".", O_RDONLY | O_DIRECTORY);
}

/// The rules of the test in one place: a plan packed straight is the same layer as one that is written first.
void check_same_layer(Trees& trees, const FileOp& op, const cache::TreeView* base, bool local = false) {
  const cache::TreeView source = cache::TreeView::of_directory(trees.source.fd());
  const PlannedTree plan = plan_file_actions(op, base, {{}, {&source, nullptr, local}}, trees.store, nullptr);
  write_tree(plan, trees.written.fd(), nullptr, nullptr);
  const std::string straight = packed_straight(plan);
  CHECK(straight.size() > 1024);
  CHECK(straight == packed_from(trees.written.fd()));
  if (!cache::should_write_image(trees.store, kManyFiles)) return;
  // The second finds what the first has written.
  for (int i = 0; i < 2; ++i) {
    const UniqueFd image = mounted_image(trees, plan);
    CHECK(straight == packed_from(image.get()));
    CHECK(describe_tree(image.get()) == describe_tree(trees.written.fd()));
  }
}

FileOp copy(CopyAction action) {
  action.input = 1;
  FileOp op;
  op.actions.emplace_back(std::move(action));
  return op;
}

/// One entry of every kind that a copy meets.
void fill(const TempDir& directory) {
  TreeMaker make(directory.fd());
  make.file("a.txt", "text").mtime("a.txt", 1'000'000'000, 5);
  make.file("a-b", "sorts before a/ does").file("a/x", "in a").dir("a/empty", 01777);
  make.file("set", "id", 04755).symlink("dangling", "/nowhere").symlink("z", "a/x");
  make.file("one", "hard").hardlink("a/two", "one").hardlink("three", "one");
  make.file(std::string(120, 'n') + "/long", "name").file("sp\xc3\xa4t", "not ASCII");
  make.sparse("holes", 3 << 20, 1 << 20, "data in the middle");
  make.file("large", oci::layer::test::mixed_bytes(300'000));
  make.node("pipe", S_IFIFO | 0640);
  if (!cbuild::test::can_run(oci::layer::test::is_root(), "root")) return;
  make.node("device", S_IFCHR | 0600, 1, 3).own("a.txt", 12, 34).own("a", 5, 6).own("z", 7, 8);
  make.file("ping", "capable", 0755).xattr("ping", "security.capability", oci::layer::test::capability_value());
}

}  // namespace

TEST_CASE("a copy that is packed straight is the layer of the tree it would have made") {
  Trees trees;
  fill(trees.source);
  const FileOp all = copy({.sources = {"."}, .destination = "/dst"});
  SUBCASE("as it is") { check_same_layer(trees, all, nullptr); }
  SUBCASE("from the context") { check_same_layer(trees, all, nullptr, true); }
  SUBCASE("with an owner, a mode and a time") {
    check_same_layer(trees,
                     copy({.sources = {"."}, .destination = "/", .chown = "1:2", .chmod = "u=rwX,go=r", .mtime_s = 99}),
                     nullptr);
  }
  SUBCASE("a single file under a new name") {
    check_same_layer(trees, copy({.sources = {"a.txt"}, .destination = "/etc/other"}), nullptr);
  }
  SUBCASE("with its parents") {
    check_same_layer(trees, copy({.sources = {"a/x"}, .destination = "/deep/er", .parents = true}), nullptr);
  }
  SUBCASE("many files") {
    for (int i = 0; i < 700; ++i) TreeMaker(trees.source.fd()).file(cat("many/", i % 7, "/", i), std::to_string(i));
    check_same_layer(trees, all, nullptr);
  }
  SUBCASE("and files that the step itself makes") {
    FileOp op = all;
    op.actions.emplace_back(MakeFileAction{.path = "/dst/a.txt", .content = "instead", .mode = 0600});
    op.actions.emplace_back(MakeDirAction{.path = "/w/x", .mode = 0700});
    check_same_layer(trees, op, nullptr);
  }
}

TEST_CASE("directories of the base on the way are adopted with their metadata") {
  Trees trees;
  fill(trees.source);
  TempDir base = TempDir::in_tmp("cbuild-plan-base-");
  TreeMaker(base.fd()).dir("etc/app", 0711).mtime("etc/app", 77).symlink("link", "etc/app").file("etc/file", "x");
  if (oci::layer::test::is_root()) TreeMaker(base.fd()).own("etc/app", 3, 4).mtime("etc/app", 77);
  const cache::TreeView view = cache::TreeView::of_directory(base.fd());
  check_same_layer(trees, copy({.sources = {"a.txt"}, .destination = "/link/"}), &view);
  const struct stat st = sys::stat_at(trees.written.fd(), "etc/app");
  CHECK((st.st_mode & 07777) == 0711);
  CHECK(st.st_mtim.tv_sec == 77);
  CHECK(sys::try_stat_at(trees.written.fd(), "etc/app/a.txt"));
  CHECK_FALSE(sys::try_stat_at(trees.written.fd(), "etc/file"));
}

TEST_CASE("an archive is packed from where it was unpacked") {
  Trees trees;
  const std::string tar = oci::layer::test::make_tar(
      {oci::layer::test::dir_member("d", 0700), oci::layer::test::file_member("d/f", "content"),
       oci::layer::test::link_member("l", "d/f"),
       oci::layer::test::link_member("h", "d/f", oci::layer::EntryType::hardlink)});
  TreeMaker(trees.source.fd()).file("x.tar", tar);
  check_same_layer(trees, copy({.sources = {"x.tar"}, .destination = "/", .unpack = true}), nullptr);
  CHECK(sys::stat_at(trees.written.fd(), "h").st_nlink == 2);
}

TEST_CASE("the merged view of base and plan") {
  TempDir base = TempDir::in_tmp("cbuild-plan-base-");
  TreeMaker(base.fd()).dir("d").file("d/f", "x").symlink("to-d", "d").symlink("loop", "loop").file("file", "x");
  const cache::TreeView view = cache::TreeView::of_directory(base.fd());
  PlannedTree plan(&view);
  using Kind = PlannedTree::Kind;
  CHECK(plan.kind("") == Kind::directory);
  CHECK(plan.kind("d/f") == Kind::other);
  CHECK(plan.kind("to-d") == Kind::symlink);
  CHECK(plan.kind("nothing/below") == Kind::missing);
  CHECK(plan.resolve("to-d/../to-d/new") == "d/new");
  CHECK_THROWS_AS((void)plan.resolve("loop/x"), Error);
  CHECK_THROWS_AS(plan.make_dirs("file/x", 0755, {}, std::nullopt), Error);
  CHECK_THROWS_AS(plan.clear_for_file("d"), Error);

  plan.make_dirs("d", 0700, {}, std::nullopt);
  CHECK(plan.directory("d").mode == (S_IFDIR | 0755));  // it was there
  PlannedNode link;
  link.mode = S_IFLNK | 0777;
  link.text = "/file";
  plan.add("d/l", link);
  CHECK(plan.kind("d/l") == Kind::symlink);
  CHECK(plan.resolve("d/l") == "file");
  CHECK(plan.kind("d/l/x") == Kind::missing);  // hidden by the plan
  plan.replace_by_directory("d/l");
  CHECK(plan.kind("d/l") == Kind::directory);
  plan.clear("d/l");
  CHECK(plan.kind("d/l") == Kind::missing);
}

TEST_CASE("a source that is gone or no file any more is an error that names it") {
  Trees trees;
  TreeMaker(trees.source.fd()).file("gone", "x").file("pipe", "x");
  const cache::TreeView source = cache::TreeView::of_directory(trees.source.fd());
  PlannedTree plan(nullptr);
  TreeCopier(source, plan, {}).copy_contents("", "");
  REQUIRE(::unlinkat(trees.source.fd(), "gone", 0) == 0);
  REQUIRE(::unlinkat(trees.source.fd(), "pipe", 0) == 0);
  TreeMaker(trees.source.fd()).node("pipe", S_IFIFO | 0600);
  const auto message = [&](const auto& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  CHECK(message([&] { write_tree(plan, trees.written.fd(), nullptr, nullptr); }).find("gone") != std::string::npos);
  CHECK(message([&] { (void)packed_straight(plan); }).find("gone") != std::string::npos);
  TreeMaker(trees.source.fd()).file("gone", "x");
  TempDir other = TempDir::in_tmp("cbuild-plan-other-");
  CHECK(message([&] { write_tree(plan, other.fd(), nullptr, nullptr); }).find("pipe") != std::string::npos);
  CHECK(message([&] { (void)packed_straight(plan); }).find("pipe") != std::string::npos);
}
