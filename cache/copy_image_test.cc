// SPDX-License-Identifier: Apache-2.0
// Layers of copies that share contents, and what becomes of them when something in the store is damaged or has gone.
#include "cache/copy_image.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/test_skip.h"
#include "cache/mounted_layer.h"
#include "cache/store_impl.h"
#include "cache/test_support.h"
#include "cache/tree_blocks.h"
#include "cache/unpacker.h"

namespace cbuild::cache {
namespace {

using namespace testing;
using oci::layer::EntryType;
using oci::layer::LayerTable;
using oci::layer::TableNode;

struct CopiedFile {
  std::string name, content;
  std::uint64_t inode = 0;  ///< 0: it cannot be known again
};

StatId id_of(const CopiedFile& file) { return {1, file.inode, file.content.size(), 2, 3}; }

struct Images {
  TempStore temp;
  std::optional<Store> store;
  const Digest series = sha256("series");
  std::size_t written = 0;  ///< files that the last copy wrote

  Images() { store.emplace(temp.options()); }
  bool possible() {
    return test::can_run(should_write_image(*store, 1000), "root, and a kernel that mounts EROFS from files");
  }
  /// A layer of these files, which are in the order of their names.
  Digest copy(const std::vector<CopiedFile>& files) {
    CopyImage image(*store, series);
    std::vector<CopyImage::Wanted> wanted;
    for (const CopiedFile& file : files)
      if (const auto at = image.find(id_of(file))) wanted.push_back({*at, file.content.size()});
    image.take_over(wanted);
    ContentAppender out(image.contents());
    LayerTable table;
    table.nodes.resize(1);
    table.nodes[0].type = EntryType::directory;
    table.nodes[0].mode = 0755;
    std::vector<ContentPlace> places;
    written = 0;
    for (const CopiedFile& file : files) {
      const auto earlier = image.find(id_of(file));
      const auto taken = earlier ? image.taken(*earlier) : std::nullopt;
      const std::uint64_t at = taken ? *taken : image.contents_begin() + out.append(file.content);
      written += taken ? 0 : 1;
      TableNode node;
      node.mode = 0644;
      node.names = 1;
      node.size = file.content.size();
      node.extents = {{0, at, node.size}};
      if (file.inode != 0) places.push_back({id_of(file), at});
      table.names.push_back({file.name, static_cast<std::uint32_t>(table.nodes.size())});
      table.nodes.push_back(std::move(node));
    }
    table.nodes[0].children = static_cast<std::uint32_t>(files.size());
    out.flush();
    Layer layer;
    layer.id = random_layer_id();
    add_copied_layer(*store, {}, layer, image.finish(std::move(table), std::move(places)), {});
    return layer.id;
  }
  std::string read(const Digest& layer, const std::string& name) {
    return sys::read_file_at(store->open_tree(layer).get(), name, 1 << 24);
  }
  std::string path(const Digest& layer, const std::string& name) const {
    return cat(temp.root, "/snapshots/", layer.hex(), "/", name);
  }
  /// As another process would see it.
  void reopen() {
    store.reset();
    store.emplace(temp.options());
  }
};

std::vector<CopiedFile> many(std::size_t size = 9000) {
  std::vector<CopiedFile> out;
  for (std::uint64_t i = 1; i <= 40; ++i)
    out.push_back({cat("f", 100 + i), std::string(size + i, static_cast<char>('a' + i % 26)), i});
  return out;
}

/// Files are stamped by a coarse clock: one that is changed within its step looks the same.
void wait_for_next_stamp(const std::string& path) {
  const struct timespec was = sys::stat_at(AT_FDCWD, path).st_mtim;
  const test::Awaiting awaiting("a clock that has moved on");
  const TempDir dir = TempDir::in_tmp("cbuild-clock-");
  for (struct timespec now = was; now.tv_sec == was.tv_sec && now.tv_nsec == was.tv_nsec; ::usleep(1000)) {
    sys::write_file_at(dir.fd(), "now", "");
    now = sys::stat_at(dir.fd(), "now").st_mtim;
  }
}

void flip_in(const std::string& path, off_t at) {
  wait_for_next_stamp(path);
  const UniqueFd file = sys::open_at(AT_FDCWD, path, O_RDWR);
  char byte = 0;
  REQUIRE(::pread(file.get(), &byte, 1, at) == 1);
  sys::pwrite_all(file.get(), std::string(1, static_cast<char>(byte ^ 1)), at);
}

TEST_CASE("a second copy writes what changed and refers to the rest") {
  Images images;
  if (!images.possible()) return;
  std::vector<CopiedFile> files = many();
  const Digest first = images.copy(files);
  CHECK(images.written == files.size());
  files[3].content = "changed";
  files[5].inode = 5000;
  const Digest second = images.copy(files);
  CHECK(images.written == 2);
  for (const CopiedFile& file : files) CHECK(images.read(second, file.name) == file.content);
  CHECK(images.read(first, files[3].name) == many()[3].content);
  const Digest third = images.copy(files);
  CHECK(images.written == 0);
  for (const CopiedFile& file : files) CHECK(images.read(third, file.name) == file.content);

  const int snapshots = images.store->impl().dir(Dir::snapshots);
  const std::uint64_t whole = tree_blocks(snapshots, snapshot_name(first));
  CHECK(shared_blocks(snapshots, snapshot_name(first)) < whole / 2);
  CHECK(shared_blocks(snapshots, snapshot_name(third)) < whole);
}

TEST_CASE("a layer needs nothing of the one it shares contents with") {
  Images images;
  if (!images.possible()) return;
  const std::vector<CopiedFile> files = many();
  const Digest first = images.copy(files), second = images.copy(files);
  CHECK(images.written == 0);
  sys::remove_all_at(AT_FDCWD, cat(images.temp.root, "/snapshots/", first.hex()));
  images.reopen();
  for (const CopiedFile& file : files) CHECK(images.read(second, file.name) == file.content);
  images.copy(files);
  CHECK(images.written == 0);
}

TEST_CASE("what the index does not have is not referred to") {
  Images images;
  if (!images.possible()) return;
  const std::vector<CopiedFile> files = many();
  const Digest first = images.copy(files);
  images.store->impl().forget_layer(first);
  const Digest second = images.copy(files);
  CHECK(images.written == files.size());
  CHECK(images.read(second, files[0].name) == files[0].content);
}

TEST_CASE("a damaged file of a layer of copies makes it lost") {
  Images images;
  if (!images.possible()) return;
  const std::vector<CopiedFile> files = many();
  const Digest first = images.copy(files);
  const Digest layer = images.copy(files);
  REQUIRE(images.written == 0);
  images.reopen();
  SUBCASE("contents changed") { flip_in(images.path(layer, "contents.0"), 3000); }
  SUBCASE("contents cut") { REQUIRE(::truncate(images.path(layer, "contents.0").c_str(), 4096) == 0); }
  SUBCASE("contents gone") { REQUIRE(::unlink(images.path(layer, "contents.0").c_str()) == 0); }
  SUBCASE("image changed") { flip_in(images.path(layer, "image"), 1300); }
  SUBCASE("seal gone") { REQUIRE(::unlink(images.path(layer, "mounted").c_str()) == 0); }
  SUBCASE("seal cut") { REQUIRE(::truncate(images.path(layer, "mounted").c_str(), 70) == 0); }
  CHECK(finds_missing_content([&] { (void)images.store->open_tree(layer); }));
  CHECK(!images.store->layer(layer));
  const Digest next = images.copy(files);
  for (const CopiedFile& file : files) CHECK(images.read(next, file.name) == file.content);
  (void)first;
}

TEST_CASE("damage of an earlier layer does not get into the next") {
  Images images;
  if (!images.possible()) return;
  const std::vector<CopiedFile> files = many();
  const Digest first = images.copy(files);
  SUBCASE("contents") { flip_in(images.path(first, "contents.0"), 3000); }
  SUBCASE("places") { flip_in(images.path(first, "places"), 45); }
  SUBCASE("no places") { REQUIRE(::unlink(images.path(first, "places").c_str()) == 0); }
  const Digest second = images.copy(files);
  CHECK(images.written == files.size());
  for (const CopiedFile& file : files) CHECK(images.read(second, file.name) == file.content);
}

TEST_CASE("a store that was copied is verified, and its layers of copies are kept") {
  Images images;
  if (!images.possible()) return;
  const std::vector<CopiedFile> files = many(90'000);
  const Digest layer = images.copy(files);
  const std::string contents = images.path(layer, "contents.0");
  const std::string before = sys::read_file_at(AT_FDCWD, images.path(layer, "mounted"), 1 << 16);
  const std::string aside = contents + ".aside";
  REQUIRE(::rename(contents.c_str(), aside.c_str()) == 0);
  sys::write_file_at(AT_FDCWD, contents, sys::read_file_at(AT_FDCWD, aside, 1 << 26));
  images.reopen();
  CHECK(images.read(layer, files[7].name) == files[7].content);
  CHECK(sys::read_file_at(AT_FDCWD, images.path(layer, "mounted"), 1 << 16) != before);
}

TEST_CASE("copies of empty files and of none") {
  Images images;
  if (!images.possible()) return;
  const Digest none = images.copy({});
  CHECK(sys::list_dir(sys::open_at(images.store->open_tree(none).get(), ".", O_RDONLY).get()).empty());
  const std::vector<CopiedFile> files = many();
  images.copy(files);
  const Digest same = images.copy(files);
  CHECK(images.written == 0);
  CHECK(images.read(same, files[0].name) == files[0].content);
}

TEST_CASE("a process that may not mount takes a layer of copies for missing") {
  Images images;
  if (!images.possible()) return;
  const Digest layer = images.copy(many());
  images.store.reset();
  ::setenv("CBUILD_LAYERS", "unpack", 1);
  images.store.emplace(images.temp.options());
  ::unsetenv("CBUILD_LAYERS");
  CHECK(!should_write_image(*images.store, 1000));
  CHECK(finds_missing_content([&] { (void)images.store->open_tree(layer); }));
}

}  // namespace
}  // namespace cbuild::cache
