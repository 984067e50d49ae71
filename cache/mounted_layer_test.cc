// SPDX-License-Identifier: Apache-2.0
// Layers of images that are mounted: the same trees as unpacked ones, for everybody who reads layers; and what happens
// when a file of theirs is damaged, gone, or the process may not mount.
#include "cache/mounted_layer.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/test_skip.h"
#include "cache/content/tree.h"
#include "cache/store_impl.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "oci/erofs/erofs_mount.h"
#include "oci/layer/tar_writer.h"

namespace cbuild::cache {
namespace {

using namespace testing;

/// Sets $CBUILD_LAYERS for stores that are opened meanwhile.
class Form {
 public:
  explicit Form(const char* form) { ::setenv("CBUILD_LAYERS", form, 1); }
  ~Form() { ::unsetenv("CBUILD_LAYERS"); }
  Form(const Form&) = delete;
  Form& operator=(const Form&) = delete;
};

bool possible() {
  const TempDir dir = TempDir::in_tmp("cbuild-cache-test-");
  return test::can_run(::geteuid() == 0 && oci::erofs::can_mount_in(dir.fd()), "root, and a kernel that mounts EROFS");
}

std::string archive(const std::vector<std::pair<std::string, std::string>>& files, const std::string& xattr = "") {
  std::string out;
  oci::layer::TarWriter writer(
      [&](std::span<const std::byte> bytes) { out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
  for (const auto& [name, content] : files) {
    oci::layer::TarEntry entry;
    entry.name = name;
    entry.mode = 0640;
    entry.mtime_s = 77;
    entry.size = content.size();
    if (!xattr.empty()) entry.xattrs = {{"user.x", xattr}};
    writer.entry(entry);
    writer.data(std::as_bytes(std::span(content)));
  }
  writer.finish();
  return out;
}

/// Makes the layer of an archive known, with its blob; its chain on `parent`.
Chain add_blob_layer(Store& store, const Digest& parent, const std::string& tar) {
  auto writer = store.blobs().create();
  writer->write(std::as_bytes(std::span(tar)));
  Layer layer;
  layer.id = layer.diff_id = writer->commit();
  layer.blob = oci::Descriptor{};
  layer.blob->media_type = "application/vnd.oci.image.layer.v1.tar";
  layer.blob->digest = layer.id;
  layer.blob->size = tar.size();
  store.add_lazy_layer(layer);
  return store.extend(parent, layer.id, {});
}

void bring(Store& store, const Chain& chain) { materialize(store, chain.id, nullptr, nullptr, nullptr); }

bool is_mounted(Store& store, const Digest& layer) {
  return is_mounted_form(store.impl().dir(Dir::snapshots), snapshot_name(layer));
}

std::string path_in(const TempStore& temp, const Digest& layer, const std::string& name) {
  return cat(temp.root, "/snapshots/", layer.hex(), "/", name);
}

void flip(const std::string& path) {
  const UniqueFd file = sys::open_at(AT_FDCWD, path, O_RDWR);
  const auto middle = sys::stat_fd(file.get()).st_size / 2;
  char byte = 0;
  REQUIRE(::pread(file.get(), &byte, 1, middle) == 1);
  sys::pwrite_all(file.get(), std::string(1, static_cast<char>(byte ^ 1)), middle);
}

void cut(const std::string& path) { REQUIRE(::truncate(path.c_str(), 3000) == 0); }

std::string text_of(const std::string& path) { return sys::read_file_at(AT_FDCWD, path, 1 << 16); }

void take_away(const std::string& path) { REQUIRE(::unlink(path.c_str()) == 0); }

TEST_CASE("a layer is mounted where it would be unpacked, and reads the same") {
  if (!possible()) return;
  TempStore temp;
  const Form form("mount");
  Store store(temp.options());
  const Chain low = add_blob_layer(store, {}, archive({{"d/a", "low"}, {"d/b", "low"}, {"gone", "x"}}));
  const Chain top = add_blob_layer(store, low.id, archive({{"d/b", "top"}, {".wh.gone", ""}}));
  bring(store, top);
  CHECK(is_mounted(store, low.layer));
  CHECK(store.layer(low.layer)->has_tree);
  const TreeView view = open_view(store, top.id);
  CHECK(view.read_file("d/a", 100) == "low");
  CHECK(view.read_file("d/b", 100) == "top");
  CHECK(!view.lookup("gone"));
  CHECK(view.lookup("d/a")->st.st_mtim.tv_sec == 77);
  CHECK(open_lowers(store, top.id).size() == 2);
}

TEST_CASE("mounted layers are flattened and measured like others") {
  if (!possible()) return;
  TempStore temp;
  const Form form("mount");
  Store store(temp.options());
  Chain chain = add_blob_layer(store, {}, archive({{"base", std::string(100'000, 'b')}}));
  for (int i = 0; i < 6; ++i) chain = add_blob_layer(store, chain.id, archive({{cat("f", i), cat(i)}}));
  bring(store, chain);
  const TreeView flat(open_lowers(store, chain.id, 4), true);
  for (int i = 0; i < 6; ++i) CHECK(flat.read_file(cat("f", i), 10) == cat(i));
  CHECK(flat.read_file("base", 200'000) == std::string(100'000, 'b'));
}

TEST_CASE("damage of any file of a mounted layer is a miss and never another file") {
  if (!possible()) return;
  const std::string tar = archive({{"f", std::string(50'000, 'f')}, {"g", "g"}});
  for (const char* name : {"archive", "image", "mounted"}) {
    for (void (*const damage)(const std::string&) : {flip, cut, take_away}) {
      CAPTURE(std::string(name));
      TempStore temp;
      const Form form("mount");
      Chain chain;
      {
        Store store(temp.options());
        chain = add_blob_layer(store, {}, tar);
        bring(store, chain);
        REQUIRE(is_mounted(store, chain.layer));
      }
      if (std::string_view(name) == "mounted" && damage == cut) continue;  // it is shorter
      damage(path_in(temp, chain.layer, name));
      Store store(temp.options());
      // A seal that is wrong about the archive's times alone is made right.
      const bool missing = finds_missing_content([&] { store.open_tree(chain.layer); });
      if (std::string_view(name) != "mounted" || damage != flip) CHECK(missing);
      bring(store, chain);
      CHECK(open_view(store, chain.id).read_file("f", 100'000) == std::string(50'000, 'f'));
    }
  }
}

TEST_CASE("an archive that only looks changed is digested once") {
  if (!possible()) return;
  TempStore temp;
  const Form form("mount");
  Store store(temp.options());
  const Chain chain = add_blob_layer(store, {}, archive({{"f", "text"}}));
  bring(store, chain);
  const std::string seal = path_in(temp, chain.layer, "mounted");
  const std::string before = text_of(seal);
  REQUIRE(::chmod(path_in(temp, chain.layer, "archive").c_str(), 0400) == 0);
  CHECK(sys::read_file_at(store.open_tree(chain.layer).get(), "f", 10) == "text");
  const std::string after = text_of(seal);
  CHECK(after != before);
  CHECK(sys::read_file_at(store.open_tree(chain.layer).get(), "f", 10) == "text");
  CHECK(text_of(seal) == after);
}

TEST_CASE("a process that may not mount unpacks what was mounted, and the other way round") {
  if (!possible()) return;
  TempStore temp;
  Chain chain;
  {
    const Form form("mount");
    Store store(temp.options());
    chain = add_blob_layer(store, {}, archive({{"f", "text"}}));
    bring(store, chain);
  }
  {
    const Form form("unpack");
    Store store(temp.options());
    bring(store, chain);
    CHECK(!is_mounted(store, chain.layer));
    CHECK(sys::read_file_at(store.open_tree(chain.layer).get(), "f", 10) == "text");
  }
  const Form form("mount");
  Store store(temp.options());
  bring(store, chain);
  CHECK(!is_mounted(store, chain.layer));  // a tree that is there is not made again
  CHECK(open_view(store, chain.id).read_file("f", 10) == "text");
}

TEST_CASE("where the blob has gone, the archive is unpacked, if it is whole") {
  if (!possible()) return;
  for (const bool whole : {true, false}) {
    CAPTURE(whole);
    TempStore temp;
    Chain chain;
    {
      const Form form("mount");
      Store store(temp.options());
      chain = add_blob_layer(store, {}, archive({{"f", std::string(5000, 'f')}}));
      bring(store, chain);
      store.forget_blob(store.layer(chain.layer)->blob->digest);
    }
    if (!whole) flip(path_in(temp, chain.layer, "archive"));
    const Form form("unpack");
    Store store(temp.options());
    if (!whole) {
      CHECK(finds_missing_content([&] { bring(store, chain); }));
      continue;
    }
    bring(store, chain);
    CHECK(open_view(store, chain.id).read_file("f", 10'000) == std::string(5000, 'f'));
  }
}

TEST_CASE("small layers, and those that EROFS cannot show, are unpacked") {
  if (!possible()) return;
  TempStore temp;
  {
    Store store(temp.options());
    const Chain small = add_blob_layer(store, {}, archive({{"f", "text"}}));
    const Chain large = add_blob_layer(store, {}, archive({{"f", std::string(400'000, 'x')}}));
    bring(store, small);
    bring(store, large);
    CHECK(!is_mounted(store, small.layer));
    CHECK(is_mounted(store, large.layer));
  }
  const Form form("mount");
  Store store(temp.options());
  const Chain odd = add_blob_layer(store, {}, archive({{"f", "odd"}}, std::string(3000, 'x')));
  bring(store, odd);
  CHECK(is_mounted(store, odd.layer));
  CHECK(sys::list_dir(store.impl().dir(Dir::tmp)).empty());
}

TEST_CASE("a lost index finds mounted layers again") {
  if (!possible()) return;
  TempStore temp;
  const Form form("mount");
  const std::string tar = archive({{"f", "text"}});
  Digest id;
  {
    Store store(temp.options());
    const Chain chain = add_blob_layer(store, {}, tar);
    id = chain.layer;
    bring(store, chain);
  }
  for (const char* name : {"/index.db", "/index.db-wal", "/index.db-shm"}) ::unlink((temp.root + name).c_str());
  Store store(temp.options());
  add_blob_layer(store, {}, tar);
  CHECK(store.layer(id)->has_tree);
  CHECK(sys::read_file_at(store.open_tree(id).get(), "f", 10) == "text");
}

}  // namespace
}  // namespace cbuild::cache
