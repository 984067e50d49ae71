// SPDX-License-Identifier: Apache-2.0
// Copies between registries, layouts, archives and the store, and indexes that are put together.
#include "exporter/copy/image_copy.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "exporter/copy/image_index.h"
#include "exporter/test_support.h"
#include "oci/layer/tar_writer.h"
#include "oci/layout.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::exporter {
namespace {

using namespace testing;

struct CopyFixture {
  Workshop shop;
  oci::registry::ClientFixture fixture;
  oci::registry::FakeRegistry registry;
  TempDir dir = TempDir::in_tmp("copy-test");

  PlaceServices services() {
    return {&shop.store, [this]() -> oci::registry::Client& { return fixture.client(); }};
  }
  std::unique_ptr<ImagePlace> place(const std::string& text, PlaceUse use) { return open_place(text, use, services()); }
  std::string remote(const std::string& name) { return "docker://" + registry.reference(name).str(); }
  std::string local(const std::string& name) { return cat("oci-layout://", dir.path(), "/", name); }

  /// An image in the store under "NAME.test/app:1".
  Digest build(const std::string& name, const std::string& architecture = "amd64") {
    ImageResult result = shop.result(shop.layer({}, "file", name, kSecond));
    result.config.platform.architecture = architecture;
    const BuiltImage image = build_image(shop.store, shop.packer, result, {});
    shop.store.set_image({name + ".test/app:1", image.manifest.digest, 1});
    return image.manifest.digest;
  }
  CopyResult copy(const std::string& from, const std::string& to, const CopyOptions& options = {}) {
    return copy_image(*place(from, PlaceUse::read), *place(to, PlaceUse::write), options);
  }
  Digest root(const std::string& text) { return place(text, PlaceUse::read)->root().descriptor.digest; }
  /// An index of two images, at a place.
  Digest join(const std::string& to, const AssemblyOptions& options = {}) {
    build("one");
    build("two", "arm64");
    const auto one = place("store://one.test/app:1", PlaceUse::read), two = place("two.test/app:1", PlaceUse::read);
    const AssembledImage image = assemble_image({one.get(), two.get()}, options);
    copy_assembled(image.image, [&](const Digest& d) -> ImagePlace& { return *image.places.at(d); },
                   *place(to, PlaceUse::write), {});
    return image.image.descriptor.digest;
  }
};

}  // namespace

TEST_CASE_FIXTURE(CopyFixture, "an image is the same wherever it is copied") {
  const Digest image = build("one");
  const std::vector<std::string> ways = {remote("team/app:1"),
                                         remote("other/app:1"),
                                         local("layout") + ":1.0",
                                         cat("oci-archive:", dir.path(), "/a.tar:1.0"),
                                         cat("docker-archive:", dir.path(), "/d.tar:x.test/y:2"),
                                         "store://back.test/app:1"};
  std::string from = "one.test/app:1";
  for (const std::string& to : ways) {
    CAPTURE(to);
    const CopyResult result = copy(from, to);
    CHECK(result.image.digest == image);
    CHECK(result.blobs == 2);
    CHECK(root(to) == image);
    from = to;
  }
  CHECK(registry.uploads.empty());
  CHECK(registry.violations == std::vector<std::string>{});
}

TEST_CASE_FIXTURE(CopyFixture, "a copy that changes nothing asks one question") {
  build("one");
  CHECK_FALSE(copy("one.test/app:1", remote("team/app:1")).was_there);
  const std::size_t before = registry.server->log().size();
  CHECK(copy("one.test/app:1", remote("team/app:1")).was_there);
  CHECK(registry.server->log().size() == before + 1);
  CHECK(registry.server->log().back().method == "HEAD");
}

TEST_CASE_FIXTURE(CopyFixture, "within a registry blobs are mounted") {
  build("one");
  copy("one.test/app:1", remote("team/app:1"));
  const CopyResult result = copy(remote("team/app:1"), remote("other/app:1"));
  CHECK(result.moved_blobs == 0);
  CHECK(registry.server->count("GET", "/blobs/") == 0);
}

TEST_CASE_FIXTURE(CopyFixture, "an index has its parts, and can be taken apart") {
  const Digest index = join(remote("team/both:1"));
  CHECK(copy(remote("team/both:1"), local("both") + ":1").image.digest == index);
  CopyOptions options;
  options.platforms = {*oci::parse_platform("linux/arm64")};
  CHECK(copy(local("both") + ":1", remote("team/arm:1"), options).image.digest == root("two.test/app:1"));
  options.platforms.push_back(*oci::parse_platform("linux/amd64"));
  CHECK(copy(local("both"), remote("team/again:1"), options).image.digest == index);
  options.platforms = {*oci::parse_platform("linux/s390x")};
  CHECK(code_of([&] { copy(local("both"), remote("team/none:1"), options); }) == ErrorCode::not_found);
  CHECK(code_of([&] { copy("one.test/app:1", remote("team/none:1"), options); }) == ErrorCode::not_found);
  copy(remote("team/both:1"), "store://both.test/app:1");
  CHECK(shop.store.image("both.test/app:1")->manifest == index);
  CHECK(copy("both.test/app:1", local("back") + ":1").image.digest == index);
}

TEST_CASE_FIXTURE(CopyFixture, "annotations, appending and single images") {
  AssemblyOptions options;
  options.annotations = {parse_index_annotation("index:a=b=c"),
                         parse_index_annotation("manifest-descriptor[linux/arm64]:for=arm")};
  join(local("both") + ":1", options);
  const auto index = std::get<oci::Index>(oci::parse_manifest(place(local("both"), PlaceUse::read)->root().body));
  CHECK(index.annotations == oci::Annotations{{"a", "b=c"}});
  REQUIRE(index.manifests.size() == 2);
  CHECK(index.manifests[0].annotations.empty());
  CHECK(index.manifests[1].annotations == oci::Annotations{{"for", "arm"}});
  CHECK(index.manifests[1].platform->str() == "linux/arm64");

  const auto both = place(local("both"), PlaceUse::read), one = place("one.test/app:1", PlaceUse::read);
  CHECK(assemble_image({both.get()}, {}).image.body == both->root().body);
  CHECK(oci::is_index(assemble_image({one.get()}, {}).image.descriptor.media_type));
  options = {};
  options.prefer_index = false;
  CHECK(assemble_image({one.get()}, options).image.body == one->root().body);
  const AssembledImage again = assemble_image({both.get(), one.get()}, {});
  CHECK(std::get<oci::Index>(oci::parse_manifest(again.image.body)).manifests == index.manifests);  // each once
  options.platforms = {*oci::parse_platform("linux/s390x")};
  CHECK(code_of([&] { assemble_image({both.get()}, options); }) == ErrorCode::not_found);
  for (const char* wrong : {"a", "a=b", ":a=b", "index:=b", "manifest:a=b", "index-descriptor:a=b", "index[linux]:a=b",
                            "manifest-descriptor[/]:a=b"})
    CHECK(code_of([&] { parse_index_annotation(wrong); }) == ErrorCode::usage);
}

TEST_CASE_FIXTURE(CopyFixture, "a failure leaves the name as it was") {
  const Digest first = build("one");
  copy("one.test/app:1", remote("team/app:1"));
  build("two");
  registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.method != "POST") return std::nullopt;
    return oci::registry::error_response(403, "DENIED", "no");
  };
  CHECK(code_of([&] { copy("two.test/app:1", remote("team/app:1")); }) == ErrorCode::denied);
  registry.script = nullptr;
  CHECK(root(remote("team/app:1")) == first);
}

TEST_CASE_FIXTURE(CopyFixture, "names of places") {
  build("one");
  CHECK(place("one.test/app:1", PlaceUse::read)->kind() == PlaceKind::store);
  CHECK(place("one.test/app:1", PlaceUse::write)->kind() == PlaceKind::registry);
  CHECK(place("other.test/app:1", PlaceUse::read)->name() == "other.test/app:1");
  CHECK(place("oci:1.0", PlaceUse::read)->kind() == PlaceKind::registry);  // a name with a tag
  CHECK(place("docker:1.0", PlaceUse::read)->kind() == PlaceKind::registry);
  CHECK(place("store:one.test/app:1", PlaceUse::read)->kind() == PlaceKind::store);
  for (const char* wrong : {"ftp://x", "store://", "oci-layout://", "oci-layout://:1"})
    CHECK(code_of([&] { place(wrong, PlaceUse::read); }) == ErrorCode::usage);
  CHECK(code_of([&] { place(local("missing"), PlaceUse::read); }) == ErrorCode::not_found);
  CHECK(code_of([&] { root("store://missing.test/x"); }) == ErrorCode::not_found);
  const PlaceServices no_store{nullptr, services().registry};
  CHECK(open_place("one.test/app:1", PlaceUse::read, no_store)->kind() == PlaceKind::registry);
  CHECK(code_of([&] { open_place("store://one.test/app:1", PlaceUse::read, no_store); }) == ErrorCode::not_found);
}

TEST_CASE_FIXTURE(CopyFixture, "archives that are none, and members that lead out") {
  sys::write_file_at(dir.fd(), "bad.tar", "no tar at all");
  const auto read = [&](const std::string& name) { root(cat("oci-archive:", dir.path(), "/", name)); };
  CHECK(code_of([&] { read("bad.tar"); }) == ErrorCode::corrupt);
  CHECK(code_of([&] { read("missing.tar"); }) == ErrorCode::not_found);
  std::string tar;
  oci::layer::TarWriter writer(
      [&](std::span<const std::byte> b) { tar.append(reinterpret_cast<const char*>(b.data()), b.size()); });
  for (const char* name : {"../out", "/abs", "a/../../out", "./in"}) {
    writer.entry({.name = name, .mode = 0644, .size = 1});
    writer.data(std::as_bytes(std::span("x", 1)));
  }
  writer.entry({.name = "link", .link_target = "/etc", .type = oci::layer::EntryType::symlink, .mode = 0777});
  writer.entry({.name = "link/passwd", .mode = 0644, .size = 1});
  writer.data(std::as_bytes(std::span("x", 1)));
  writer.finish();
  sys::write_file_at(dir.fd(), "out.tar", tar);
  CHECK(code_of([&] { read("out.tar"); }) == ErrorCode::corrupt);
  CHECK_FALSE(sys::try_stat_at(dir.fd(), "out"));
}

}  // namespace cbuild::exporter
