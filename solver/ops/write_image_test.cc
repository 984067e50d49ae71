// SPDX-License-Identifier: Apache-2.0
// What an image of copied files has in common with the one before, and what it must not have.
#include "solver/ops/write_image.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/test_skip.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "cache/copy_entries.h"
#include "cache/copy_image.h"
#include "cache/store.h"
#include "oci/layer/pack.h"
#include "oci/layer/test_support.h"
#include "solver/ops/file_op.h"

using namespace cbuild;
using namespace cbuild::solver;
using namespace cbuild::solver::ops;
using oci::layer::test::TreeMaker;

namespace {

struct CopiedContext {
  TempDir context = TempDir::in_tmp("cbuild-image-context-");
  TempDir store_dir = TempDir::in_tmp("cbuild-image-store-");
  cache::Store store{{store_dir.path() + "/store", false}};
  const Digest series = sha256("a copy");

  bool possible() {
    return test::can_run(cache::should_write_image(store, 1000), "root, and a kernel that mounts EROFS from files");
  }

  /// Copies the context as it is now; the new layer.
  Digest copy() {
    const cache::TreeView source = cache::TreeView::of_directory(context.fd());
    FileOp op;
    op.actions.emplace_back(CopyAction{.input = 1, .sources = {"."}, .destination = "/"});
    const PlannedTree plan = plan_file_actions(op, nullptr, {{}, {&source, nullptr, true}}, store, nullptr);
    cache::Layer layer;
    layer.id = cache::random_layer_id();
    const Digest id = layer.id;
    add_copied_layer(store, {}, std::move(layer), write_image(plan, {}, store, series, nullptr), {});
    return id;
  }

  std::string read(const Digest& layer, const std::string& name) {
    return sys::read_file_at(store.open_tree(layer).get(), name, 1 << 24);
  }
  /// The files of contents of a layer: inode and size of each.
  std::map<ino_t, off_t> contents(const Digest& layer) const {
    const UniqueFd dir = sys::open_at(AT_FDCWD, cat(store_dir.path(), "/store/snapshots/", layer.hex()), O_RDONLY);
    std::map<ino_t, off_t> out;
    for (const std::string& name : sys::list_dir(dir.get())) {
      const struct stat st = sys::stat_at(dir.get(), name);
      if (name.starts_with("contents")) out[st.st_ino] = st.st_size;
    }
    return out;
  }

  /// Waits until files as they are now can be told from changed ones.
  void settle() {
    TreeMaker(context.fd()).file("clock", "x");
    const test::Awaiting awaiting("a clock that has moved on");
    while (!cache::is_settled(cache::stat_id(sys::stat_at(context.fd(), "clock")), sys::now_ns())) ::usleep(1000);
  }
};

}  // namespace

TEST_CASE("of a copy that differs in one file only that file is written") {
  CopiedContext copies;
  if (!copies.possible()) return;
  for (int i = 0; i < 300; ++i)
    TreeMaker(copies.context.fd()).file(cat("d", i % 5, "/f", i), oci::layer::test::mixed_bytes(10'000));
  copies.settle();
  const Digest first = copies.copy();
  TreeMaker(copies.context.fd()).file("d1/f1", "edited");
  const Digest second = copies.copy();
  CHECK(copies.read(second, "d1/f1") == "edited");
  CHECK(copies.read(first, "d1/f1") == oci::layer::test::mixed_bytes(10'000));
  CHECK(copies.read(second, "d4/f299") == oci::layer::test::mixed_bytes(10'000));
  const auto before = copies.contents(first), after = copies.contents(second);
  REQUIRE(before.size() == 1);
  CHECK(after.size() == 2);
  CHECK(after.contains(before.begin()->first));

  SUBCASE("and nothing at all of one that differs in none") {
    copies.settle();
    const auto same = copies.contents(copies.copy());
    CHECK(same.contains(before.begin()->first));
  }
  SUBCASE("and much of it is gone: what is left is written again") {
    for (int i = 0; i < 200; ++i) REQUIRE(::unlinkat(copies.context.fd(), cat("d", i % 5, "/f", i).c_str(), 0) == 0);
    const Digest third = copies.copy();
    CHECK(copies.read(third, "d4/f299") == oci::layer::test::mixed_bytes(10'000));
    CHECK_FALSE(copies.contents(third).contains(before.begin()->first));
  }
  SUBCASE("and the files of the earlier layer have gone") {
    sys::remove_all_at(AT_FDCWD, cat(copies.store_dir.path(), "/store/snapshots/", first.hex()));
    CHECK(copies.read(second, "d4/f299") == oci::layer::test::mixed_bytes(10'000));
  }
}

TEST_CASE("the archive of a copy is made of its contents, without its tree") {
  CopiedContext copies;
  if (!copies.possible()) return;
  TreeMaker make(copies.context.fd());
  for (int i = 0; i < 200; ++i) make.file(cat("d", i % 5, "/f", i), oci::layer::test::mixed_bytes(3000 + i));
  make.file("one", "hard")
      .hardlink("d1/two", "one")
      .file("set", "id", 04755)
      .symlink("link", "d1/two")
      .file("empty", "");
  make.file("large", oci::layer::test::mixed_bytes(3'000'000)).own("large", 3, 4).node("pipe", S_IFIFO | 0640);
  make.hardlink("large-too", "large").node("device", S_IFCHR | 0600, 1, 3).mtime("d1", 77).dir("none", 01777);
  make.file("ping", "capable", 0755).xattr("ping", "security.capability", oci::layer::test::capability_value());
  make.file("attributes", "x").xattr("attributes", "user.x", "kept").xattr("attributes", "trusted.x", "not kept");
  copies.settle();
  for (int round = 0; round < 2; ++round) {
    const Digest layer = copies.copy();
    const auto entries = cache::open_copy_entries(copies.store, layer);
    REQUIRE(entries);
    const UniqueFd root = sys::open_at(copies.store.open_tree(layer).get(), ".", O_RDONLY | O_DIRECTORY);
    oci::layer::test::MemoryBlobs blobs;
    const oci::layer::PackOptions options;
    CHECK(oci::layer::pack_planned(*entries, blobs, options).descriptor.digest ==
          oci::layer::pack_layer(root.get(), blobs, options).descriptor.digest);
    const UniqueFd attributes = sys::open_at(root.get(), "attributes", O_RDONLY);
    CHECK(sys::list_xattrs(attributes.get()) == std::vector<sys::Xattr>{{"trusted.x", "not kept"}, {"user.x", "kept"}});
    make.file("d3/f8", "edited");
  }
  make.sparse("holes", 3 << 20, 1 << 20, "data");
  CHECK(!cache::open_copy_entries(copies.store, copies.copy()));
}

TEST_CASE("the number of files of contents is bounded") {
  CopiedContext copies;
  if (!copies.possible()) return;
  std::size_t most = 0;
  for (int round = 0; round < 12; ++round) {
    TreeMaker(copies.context.fd()).file(cat("new", round), oci::layer::test::mixed_bytes(100'000 + round));
    copies.settle();
    const Digest layer = copies.copy();
    for (int i = 0; i <= round; ++i)
      CHECK(copies.read(layer, cat("new", i)) == oci::layer::test::mixed_bytes(100'000 + i));
    most = std::max(most, copies.contents(layer).size());
  }
  CHECK(most > 2);
  CHECK(most <= 8);
}

TEST_CASE("a file that was changed at the time of the copy is not taken for unchanged") {
  CopiedContext copies;
  if (!copies.possible()) return;
  // As long as the clock that stamps files stands still, a change leaves no trace.
  for (int i = 0; i < 50; ++i) {
    TreeMaker(copies.context.fd()).file("f", cat("before ", i));
    copies.copy();
    const UniqueFd file = sys::open_at(copies.context.fd(), "f", O_WRONLY);
    const std::string changed = cat("edited ", i);
    sys::pwrite_all(file.get(), changed, 0);
    const Digest after = copies.copy();
    CHECK(copies.read(after, "f").starts_with(changed));
  }
}

TEST_CASE("files that are copied again: other times, attributes, holes") {
  CopiedContext copies;
  if (!copies.possible()) return;
  TreeMaker make(copies.context.fd());
  make.file("time", "1").file("mode", "2", 0600).sparse("holes", 3 << 20, 1 << 20, "data").file("empty", "");
  make.file("attribute", "3").xattr("attribute", "user.x", "first");
  copies.settle();
  copies.copy();
  REQUIRE(::fchmodat(copies.context.fd(), "mode", 0711, 0) == 0);
  make.mtime("time", 5).xattr("attribute", "user.x", "second");
  const Digest second = copies.copy();
  const UniqueFd root = copies.store.open_tree(second);
  CHECK(sys::stat_at(root.get(), "time").st_mtim.tv_sec == 5);
  CHECK((sys::stat_at(root.get(), "mode").st_mode & 07777) == 0711);
  CHECK(sys::stat_at(root.get(), "empty").st_size == 0);
  CHECK(copies.read(second, "holes").substr(1 << 20, 4) == "data");
  const UniqueFd file = sys::open_at(root.get(), "attribute", O_RDONLY);
  CHECK(sys::list_xattrs(file.get()) == std::vector<sys::Xattr>{{"user.x", "second"}});
}

TEST_CASE("an ACL has no form in an image") {
  CopiedContext copies;
  if (!copies.possible()) return;
  TreeMaker(copies.context.fd()).file("f", "x").xattr("f", "trusted.t", "y");
  CHECK(copies.read(copies.copy(), "f") == "x");
  const std::string acl(
      "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x05\0\0\0\x04\0\x04\0\xff\xff\xff\xff"
      "\x10\0\x06\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff",
      44);
  if (!sys::set_xattr_at(copies.context.fd(), "f", {"system.posix_acl_access", acl})) {
    MESSAGE("no ACLs here");
    return;
  }
  try {
    copies.copy();
    FAIL("it was written");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}
