// SPDX-License-Identifier: Apache-2.0
// Images as tars and layouts, read back member by member.
#include "exporter/archive.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/output_file.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "exporter/test_support.h"
#include "oci/layout.h"

namespace cbuild::exporter {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

oci::layer::ByteSink into(std::string& out) {
  return [&out](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
}

std::string archive(Workshop& shop, const BuiltImage& image, const Texts& names, bool docker) {
  std::string out;
  write_image_archive(shop.store, single_image(image), names, docker, {into(out), nullptr}, nullptr);
  return out;
}

std::string member(const std::string& tar, const std::string& name) {
  for (const auto& [found, what] : tar_members(tar))
    if (found == name) return what.content;
  return "missing: " + name;
}

Texts image_names(const oci::Index& index) {
  Texts out;
  for (const oci::Descriptor& entry : index.manifests) {
    const auto name = entry.annotations.find("io.containerd.image.name");
    out.push_back(name == entry.annotations.end() ? "" : name->second);
  }
  return out;
}

}  // namespace

TEST_CASE("equal layers of an image are in its archive once") {
  Workshop shop;
  const Digest below = shop.layer({}, "file", "same", kSecond);
  const BuiltImage image =
      build_image(shop.store, shop.packer, shop.result(shop.layer(below, "file", "same", kSecond)), {});
  REQUIRE(image.content.layers[0].digest == image.content.layers[1].digest);
  const std::string tar = archive(shop, image, {}, true);
  const std::string blob = "blobs/sha256/" + image.content.layers[0].digest.hex();
  const auto members = tar_members(tar);
  CHECK(std::count_if(members.begin(), members.end(), [&](const auto& m) { return m.first == blob; }) == 1);
  const std::string manifest = member(tar, "manifest.json");
  CHECK(manifest.find(cat("\"Layers\":[\"", blob, "\",\"", blob, "\"]")) != std::string::npos);
  CHECK(archive(shop, image, {}, true) == tar);
}

TEST_CASE("an archive names the image in index.json, for docker also in manifest.json") {
  Workshop shop;
  BuiltImage image = shop.image("x");
  image.manifest.annotations["of"] = "descriptor";
  const std::string tar = archive(shop, image, {"x:1", "r.test/y@" + image.manifest.digest.str()}, true);
  const auto index = std::get<oci::Index>(oci::parse_manifest(member(tar, "index.json")));
  REQUIRE(index.manifests.size() == 2);
  CHECK(index.manifests[0].annotations == oci::Annotations{{"io.containerd.image.name", "docker.io/library/x:1"},
                                                           {"of", "descriptor"},
                                                           {"org.opencontainers.image.ref.name", "1"}});
  CHECK_FALSE(index.manifests[1].annotations.contains("org.opencontainers.image.ref.name"));
  CHECK(member(tar, "manifest.json").find("\"RepoTags\":[\"x:1\"]") != std::string::npos);
  CHECK(member(tar, "oci-layout") == R"({"imageLayoutVersion":"1.0.0"})");
  CHECK(member(archive(shop, image, {}, false), "manifest.json") == "missing: manifest.json");
  CHECK(member(archive(shop, image, {}, true), "manifest.json").find("\"RepoTags\":null") != std::string::npos);
}

TEST_CASE("a damaged blob does not get into an archive, and is forgotten") {
  Workshop shop;
  const BuiltImage image = shop.image("x");
  const Digest blob = image.content.layers[0].digest;
  const std::string path = cat(shop.temp.root, "/blobs/sha256/", blob.hex());
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  const UniqueFd file = sys::open_at(AT_FDCWD, path, O_WRONLY);
  sys::pwrite_all(file.get(), "damage", 20);
  CHECK(finds_missing_content([&] { archive(shop, image, {}, false); }));
  CHECK_FALSE(shop.store.blobs().size(blob));
}

TEST_CASE("blobs that the kernel copies make the same archive, and damaged ones none") {
  Workshop shop;
  std::string noise;
  for (Digest next = sha256("noise"); noise.size() < 3'000'000; next = sha256(next.hex())) noise += next.hex();
  const BuiltImage image = shop.image(noise);
  REQUIRE(image.content.layers[0].size > 1'100'000);
  const auto by_kernel = [&](const std::string& path) {
    OutputFile out(path);
    const auto bytes = [&](std::span<const std::byte> data) { out.write(data); };
    const auto file = [&](int fd, std::uint64_t size, const auto& written) { out.write_file(fd, size, written); };
    std::uint64_t counted = 0;
    write_image_archive(shop.store, single_image(image), {"a:1"}, true, {bytes, file},
                        [&](std::uint64_t part) { counted += part; });
    CHECK(counted == image.content.layers[0].size + image.config.size + image.manifest.size);
    out.publish();
  };
  const std::string path = shop.temp.dir.path() + "/out.tar";
  by_kernel(path);
  CHECK(sys::read_file_at(AT_FDCWD, path, 8u << 20) == archive(shop, image, {"a:1"}, true));
  const Digest blob = image.content.layers[0].digest;
  const std::string stored = cat(shop.temp.root, "/blobs/sha256/", blob.hex());
  REQUIRE(::chmod(stored.c_str(), 0644) == 0);
  sys::pwrite_all(sys::open_at(AT_FDCWD, stored, O_WRONLY).get(), "damage", 500'000);
  CHECK(finds_missing_content([&] { by_kernel(path + ".2"); }));
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, path + ".2"));
  CHECK_FALSE(shop.store.blobs().size(blob));
}

TEST_CASE("a layout keeps one entry for a name, and those of other names") {
  Workshop shop;
  const std::string directory = shop.temp.dir.path() + "/layout";
  const BuiltImage first = shop.image("first"), second = shop.image("second");
  const auto index = [&] { return oci::ImageLayout::open(directory).index(); };
  write_image_directory(shop.store, single_image(first), {"a:1", "a:2"}, directory);
  CHECK(image_names(index()) == Texts{"docker.io/library/a:1", "docker.io/library/a:2"});
  write_image_directory(shop.store, single_image(second), {"a:2"}, directory);
  CHECK(image_names(index()) == Texts{"docker.io/library/a:1", "docker.io/library/a:2"});
  CHECK(index().manifests[0].digest == first.manifest.digest);
  CHECK(index().manifests[1].digest == second.manifest.digest);
  write_image_directory(shop.store, single_image(first), {}, directory);
  write_image_directory(shop.store, single_image(second), {}, directory);
  CHECK(image_names(index()) == Texts{"docker.io/library/a:1", "docker.io/library/a:2", ""});
  CHECK(index().manifests[2].digest == second.manifest.digest);
  CHECK(index().manifests[2].annotations.at("org.opencontainers.image.ref.name") == "latest");
  CHECK(oci::read_blob(oci::ImageLayout::open(directory).blobs(), first.manifest.digest) == first.manifest_json);
}

TEST_CASE("a damaged blob does not get into a layout") {
  Workshop shop;
  const BuiltImage image = shop.image("x");
  const Digest blob = image.content.layers[0].digest;
  const std::string path = cat(shop.temp.root, "/blobs/sha256/", blob.hex());
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  sys::pwrite_all(sys::open_at(AT_FDCWD, path, O_WRONLY).get(), "damage", 20);
  const std::string directory = shop.temp.dir.path() + "/layout";
  CHECK(finds_missing_content([&] { write_image_directory(shop.store, single_image(image), {"a:1"}, directory); }));
  CHECK_FALSE(shop.store.blobs().size(blob));
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, cat(directory, "/blobs/sha256/", blob.hex())));
}

}  // namespace cbuild::exporter
