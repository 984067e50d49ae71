// SPDX-License-Identifier: Apache-2.0
#include "exporter/outputs.h"

#include <doctest/doctest.h>

#include "base/test_skip.h"
#include "exporter/test_support.h"

namespace cbuild::exporter {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

/// Carries out outputs in a directory of their own.
struct Bench : Workshop {
  TempDir dir = TempDir::in_tmp("outputs-test-");
  ExportContext context{store,   nullptr, [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); },
                        nullptr, 0,       nullptr};
  ImageResult built = result(layer(layer({}, "sub/one", "1", kSecond), "two", "2", kSecond));
  BuiltImage image = build_image(store, packer, built, {});

  std::string at(const std::string& name) const { return dir.path() + "/" + name; }
  void run(const std::string& output) {
    export_result(parse_output(output, false), {single_image(image), {built}}, context);
  }
  std::string content(const std::string& name) { return sys::read_file_at(dir.fd(), name, 1 << 20); }
  Texts names() {
    Texts out;
    for (const cache::Image& kept : store.images()) out.push_back(kept.name);
    return out;
  }
};

}  // namespace

TEST_CASE("an archive that cannot be made leaves the old one whole") {
  Bench bench;
  write_file(bench.dir.fd(), "image.tar", "the old archive");
  const std::string blob = cat(bench.temp.root, "/blobs/sha256/", bench.image.content.layers[0].digest.hex());
  REQUIRE(::truncate(blob.c_str(), 10) == 0);
  CHECK_THROWS_AS(bench.run("type=oci,dest=" + bench.at("image.tar")), Error);
  CHECK(bench.content("image.tar") == "the old archive");
  CHECK(sys::list_dir(bench.dir.fd()) == Texts{"image.tar"});
}

TEST_CASE("files are made with the directories they lie in") {
  Bench bench;
  bench.run("type=docker,dest=" + bench.at("a/b/image.tar"));
  CHECK(tar_members(bench.content("a/b/image.tar")).front().first == "blobs/");
  bench.run("type=tar,dest=" + bench.at("root.tar"));
  Texts members;
  for (const auto& [name, unused] : tar_members(bench.content("root.tar"))) members.push_back(name);
  CHECK(members == Texts{"sub/", "sub/one", "two"});
}

TEST_CASE("mode=copy keeps existing files, mode=delete removes those that the result does not have") {
  Bench bench;
  for (const char* old : {"out/sub/old", "out/old/deep", "out/two", "outside/mine"})
    write_file(bench.dir.fd(), old, "old");
  make_symlink(bench.dir.fd(), "../outside", "out/link");
  bench.run("type=local,dest=" + bench.at("out"));
  CHECK(bench.content("out/two") == "2");
  CHECK(bench.content("out/sub/old") == "old");
  CHECK(bench.content("out/old/deep") == "old");
  bench.run("type=local,mode=delete,dest=" + bench.at("out"));
  CHECK(sys::list_dir(sys::open_at(bench.dir.fd(), "out", O_RDONLY).get()) == Texts{"sub", "two"});
  CHECK(sys::list_dir(sys::open_at(bench.dir.fd(), "out/sub", O_RDONLY).get()) == Texts{"one"});
  CHECK(bench.content("outside/mine") == "old");
}

TEST_CASE("mode=delete deletes nothing when the result could not be written") {
  Bench bench;
  write_file(bench.dir.fd(), "out/old", "old");
  CancelSource cancel;
  cancel.cancel();
  bench.context.cancel = &cancel;
  CHECK_THROWS_AS(bench.run("type=local,mode=delete,dest=" + bench.at("out")), Error);
  CHECK(bench.content("out/old") == "old");
}

TEST_CASE("an image is kept under the names that its keys ask for") {
  Bench bench;
  const std::string digest = bench.image.manifest.digest.str();
  bench.run("type=image,name=x:1,store=false");
  CHECK(bench.names().empty());
  bench.run("type=image,name=x:1,dangling-name-prefix=none,danging-name-empty-only=true");
  CHECK(bench.names() == Texts{"docker.io/library/x:1"});
  bench.run("type=image,name=x:2,name-canonical=true");
  CHECK(bench.names() == Texts{"docker.io/library/x:1", "docker.io/library/x:2", "docker.io/library/x:2@" + digest});
  for (const std::string& name : bench.names()) bench.store.remove_image(name);
  bench.run("type=image,dangling-name-prefix=r.test/none");
  CHECK(bench.names() == Texts{"r.test/none@" + digest});
  CHECK_THROWS_WITH_AS(bench.run("type=image,push=true"), "a push needs a name", Error);
}

TEST_CASE("type=local gives the caller files that others own in the image") {
  Bench bench;
  bool owned = false;
  bench.built = bench.result(add_layer(bench.store, {}, [&](int tree) {
                               write_file(tree, "theirs", "text");
                               owned = ::fchownat(tree, "theirs", 4321, 4322, 0) == 0;
                             }).id);
  if (!test::can_run(owned, "root")) return;
  bench.run("type=local,dest=" + bench.at("out"));
  const struct stat st = sys::stat_at(bench.dir.fd(), "out/theirs");
  CHECK(st.st_uid == ::geteuid());
  CHECK(st.st_gid == ::getegid());
}

TEST_CASE("an output's epoch takes the place of the build's for files, and only lowers it for the config") {
  const auto epochs = [](const std::string& text, std::optional<std::int64_t> build) {
    ImageResult result;
    apply_epoch(parse_output("type=oci,dest=x" + text, false), build, result);
    return std::pair(result.source_date_epoch, result.file_epoch);
  };
  using Epoch = std::optional<std::int64_t>;
  CHECK(epochs("", {}) == std::pair(Epoch(), Epoch()));
  CHECK(epochs("", 50) == std::pair(Epoch(50), Epoch(50)));
  CHECK(epochs(",source-date-epoch=70", {}) == std::pair(Epoch(70), Epoch(70)));
  CHECK(epochs(",source-date-epoch=70", 50) == std::pair(Epoch(50), Epoch(70)));
  CHECK(epochs(",source-date-epoch=30", 50) == std::pair(Epoch(30), Epoch(30)));
  CHECK(epochs(",source-date-epoch=", 50) == std::pair(Epoch(50), Epoch()));
}

}  // namespace cbuild::exporter
