// SPDX-License-Identifier: Apache-2.0
// Indexes over the images of several platforms: their entries, and what goes with them into layouts and registries.
#include "exporter/image_set.h"

#include <doctest/doctest.h>

#include "exporter/archive.h"
#include "exporter/push.h"
#include "exporter/test_support.h"
#include "oci/layout.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::exporter {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

/// Images of two platforms on one base layer.
struct TwoPlatforms : Workshop {
  Digest shared = layer({}, "shared", "both", kSecond);
  std::vector<BuiltImage> images = {of("linux/amd64"), of("linux/arm64")};

  BuiltImage of(const char* platform, const oci::Annotations& annotations = {}) {
    ImageResult made = result(layer(shared, "own", platform, kSecond));
    made.platform = made.config.platform = *oci::parse_platform(platform);
    made.descriptor_annotations = annotations;
    return build_image(store, packer, made, {});
  }
  BuiltImage attestation(const BuiltImage& subject) {
    oci::Manifest content;
    content.config = oci::put_blob(store.blobs(), "{}", "application/vnd.oci.empty.v1+json");
    content.layers.push_back(
        oci::put_blob(store.blobs(), cat("about ", subject.manifest.digest.str()), "application/vnd.in-toto+json"));
    return attach_manifest(store, content, subject, "attestation-manifest");
  }
};

oci::Index read_index(cache::Store& store, const oci::Descriptor& index) {
  return std::get<oci::Index>(oci::parse_manifest(oci::read_blob(store.blobs(), index.digest), index.media_type));
}

}  // namespace

TEST_CASE("an archive's entry says when the image was made") {
  constexpr char kCreated[] = "org.opencontainers.image.created";
  TwoPlatforms shop;
  ImageSet set = make_index(shop.store, shop.images, {});
  note_created(set, std::nullopt);
  const std::string made = set.top().annotations.at(kCreated);
  CHECK(made == format_rfc3339(kSecond / 1'000'000'000));
  note_created(set, 5);
  CHECK(set.top().annotations.at(kCreated) == made);
  ImageSet single = single_image(shop.images[0]);
  note_created(single, 5);
  CHECK(single.top().annotations.at(kCreated) == "1970-01-01T00:00:05Z");
  CHECK(single.top_json() == shop.images[0].manifest_json);
}

TEST_CASE("an index has an entry with platform and annotations for each image, in their order") {
  TwoPlatforms shop;
  shop.images.push_back(shop.of("linux/arm/v7", {{"of", "descriptor"}}));
  const ImageSet set = make_index(shop.store, shop.images, {false, {{"of", "index"}}, {{"of", "index-descriptor"}}});
  const oci::Index index = read_index(shop.store, set.top());
  CHECK(set.top().media_type == oci::media_type::kIndex);
  CHECK(set.top().annotations == oci::Annotations{{"of", "index-descriptor"}});
  CHECK_FALSE(set.top().platform);
  CHECK(index.media_type == oci::media_type::kIndex);
  CHECK(index.annotations == oci::Annotations{{"of", "index"}});
  REQUIRE(index.manifests.size() == 3);
  CHECK(index.manifests[0].platform->str() == "linux/amd64");
  CHECK(index.manifests[1].platform->str() == "linux/arm64");
  CHECK(index.manifests[2].platform->str() == "linux/arm/v7");
  CHECK(index.manifests[0].annotations.empty());
  CHECK(index.manifests[2].annotations == oci::Annotations{{"of", "descriptor"}});
  for (std::size_t i = 0; i < 3; ++i) CHECK(index.manifests[i].digest == shop.images[i].manifest.digest);
  CHECK(make_index(shop.store, shop.images, {false, {{"of", "index"}}, {}}).top().digest == set.top().digest);
}

TEST_CASE("a list in docker's types names manifests in docker's types") {
  TwoPlatforms shop;
  ImageOptions docker;
  docker.docker_media_types = true;
  const BuiltImage image = build_image(shop.store, shop.packer, shop.result(shop.shared), docker);
  const ImageSet set = make_index(shop.store, {image}, {.docker_media_types = true});
  CHECK(set.top().media_type == oci::media_type::kDockerIndex);
  CHECK(read_index(shop.store, set.top()).manifests.at(0).media_type == oci::media_type::kDockerManifest);
}

TEST_CASE("an attached manifest is an entry of no platform that names its image") {
  TwoPlatforms shop;
  const BuiltImage attached = shop.attestation(shop.images[1]);
  CHECK(attached.manifest.platform->str() == "unknown/unknown");
  CHECK(attached.manifest.annotations ==
        oci::Annotations{{"vnd.docker.reference.digest", shop.images[1].manifest.digest.str()},
                         {"vnd.docker.reference.type", "attestation-manifest"}});
  shop.images.push_back(attached);
  const oci::Index index = read_index(shop.store, make_index(shop.store, shop.images, {}).top());
  CHECK(oci::is_attestation(index.manifests.at(2)));
  CHECK(oci::select_platform(index, *oci::parse_platform("linux/arm64"))->digest == shop.images[1].manifest.digest);
}

TEST_CASE("a layout has every blob of an index, and its index.json names the index") {
  TwoPlatforms shop;
  shop.images.push_back(shop.attestation(shop.images[0]));
  const ImageSet set = make_index(shop.store, shop.images, {});
  const std::string directory = shop.temp.dir.path() + "/layout";
  write_image_directory(shop.store, set, {"a:1"}, directory);
  oci::ImageLayout layout = oci::ImageLayout::open(directory);
  CHECK(layout.find("1").digest == set.top().digest);
  CHECK(layout.index().manifests.size() == 1);
  // The shared layer and both own ones, two configs, two manifests, the statement with its config and manifest, the
  // index.
  CHECK(blobs_of(set).size() == 11);
  for (const oci::Descriptor& blob : blobs_of(set)) CHECK(layout.blobs().size(blob.digest) == blob.size);
}

TEST_CASE("an archive for docker lists each image, and nothing that is none") {
  TwoPlatforms shop;
  shop.images.push_back(shop.attestation(shop.images[0]));
  std::string tar;
  write_image_archive(
      shop.store, make_index(shop.store, shop.images, {}), {"a:1"}, true,
      {[&](std::span<const std::byte> bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); },
       nullptr},
      nullptr);
  std::string list;
  std::size_t members = 0;
  for (const auto& [name, member] : tar_members(tar)) {
    if (name == "manifest.json") list = member.content;
    members += name.starts_with("blobs/sha256/") && member.type == '0';
  }
  CHECK(members == 11);
  CHECK(list.find(shop.images[0].config.digest.hex()) != std::string::npos);
  CHECK(list.find(shop.images[1].config.digest.hex()) != std::string::npos);
  CHECK(list.find(shop.images[2].config.digest.hex()) == std::string::npos);
}

TEST_CASE("a push sends the manifests by their digests before the index, and those that are there not again") {
  TwoPlatforms shop;
  oci::registry::FakeRegistry registry;
  oci::registry::ClientFixture fixture;
  ExportContext context{
      shop.store, &fixture.client(), [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); }, nullptr, 0,
      nullptr};
  std::mutex mutex;
  Texts puts, uploads;
  registry.script = [&](const http::FakeRequest& request) -> std::optional<http::FakeResponse> {
    const std::lock_guard lock(mutex);
    if (request.method == "PUT" && request.target.find("/manifests/") != std::string::npos)
      puts.push_back(request.target);
    if (request.method == "POST") uploads.push_back(request.target);
    return std::nullopt;
  };
  const auto push = [&](const ImageSet& set) {
    puts.clear();
    uploads.clear();
    push_images(set, registry.reference("app:1").str(), false, context);
  };
  const auto by_digest = [](const BuiltImage& image) { return "/v2/app/manifests/" + image.manifest.digest.str(); };
  push(make_index(shop.store, shop.images, {}));
  REQUIRE(puts.size() == 3);
  CHECK(puts.back() == "/v2/app/manifests/1");
  CHECK(std::count(puts.begin(), puts.end(), by_digest(shop.images[0])) == 1);
  CHECK(std::count(puts.begin(), puts.end(), by_digest(shop.images[1])) == 1);
  CHECK(uploads.size() == 5);  // the shared layer once
  push(make_index(shop.store, shop.images, {}));
  CHECK(puts.empty());
  shop.images.push_back(shop.of("linux/arm/v7"));
  push(make_index(shop.store, shop.images, {}));
  CHECK(puts == Texts{by_digest(shop.images[2]), "/v2/app/manifests/1"});
  CHECK(uploads.size() == 2);
  CHECK(registry.violations.empty());
}

}  // namespace cbuild::exporter
