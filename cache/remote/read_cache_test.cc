// SPDX-License-Identifier: Apache-2.0
// Reading caches from directories and image manifests, damaged and foreign ones included.
#include "cache/remote/read_cache.h"

#include <doctest/doctest.h>

#include "cache/test_support.h"
#include "oci/image_config.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::cache {
namespace {

using namespace testing;

const oci::Platform kPlatform = *oci::parse_platform("linux/amd64");

/// A store and a directory that holds caches.
struct Place {
  TempStore temp;
  Store store{temp.options()};
  std::string directory = temp.dir.path() + "/layout";
  std::unique_ptr<CacheBackend> open(const std::string& tag = "latest") {
    return open_cache_export(parse_cache_to(cat("type=local,dest=", directory, ",tag=", tag)), {store, nullptr});
  }

  oci::Descriptor put(CacheBackend& backend, std::string_view content, std::string_view type) {
    const oci::Descriptor blob = oci::put_blob(store.blobs(), content, std::string(type));
    backend.put_blob(blob, std::nullopt);
    return blob;
  }
  /// A cache with one step of the name; its layer is "layer of NAME" and one that all share.
  oci::Manifest put_cache(CacheBackend& backend, const std::string& step) {
    oci::Manifest manifest;
    manifest.config = put(backend, to_json(index_of(step)), kRemoteIndexType);
    manifest.layers = {put(backend, "layer of " + step, oci::media_type::kLayer),
                       put(backend, "shared", oci::media_type::kLayer)};
    backend.put_manifest(oci::to_json(manifest));
    return manifest;
  }
  static RemoteIndex index_of(const std::string& step) {
    RemoteIndexBuilder builder;
    RemoteIndex::RecordEntry record;
    record.keys = {digest_of(step)};
    record.step_name = step;
    RemoteIndex::LayerEntry layer;
    layer.diff_id = digest_of("diff id of " + step);
    record.chain = builder.chain(-1, builder.layer(layer), digest_of("identity"));
    builder.record(record);
    return builder.take();
  }
  /// `named`: the name of the cache gives it; what no name gives is removed when the name changes.
  oci::Descriptor put_image(CacheBackend& backend, const std::map<std::string, std::string>& extra, bool named = true) {
    oci::ImageConfig config;
    config.platform = kPlatform;
    config.diff_ids = {digest_of("diff id of base"), digest_of("diff id of RUN x")};
    config.extra = extra;
    oci::Manifest manifest;
    manifest.config = put(backend, oci::to_json(config), oci::media_type::kConfig);
    manifest.layers = {put(backend, "base", oci::media_type::kLayer), put(backend, "x", oci::media_type::kLayer)};
    if (named) backend.put_manifest(oci::to_json(manifest));
    return put(backend, oci::to_json(manifest), oci::media_type::kManifest);
  }
  bool holds(const std::string& content) {
    return oci::ImageLayout::open(directory).blobs().size(sha256(content)).has_value();
  }
};

/// The error that `action` ends with.
Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  return Error(ErrorCode::internal, "");
}
ErrorCode read_code(CacheBackend& backend) {
  return error_of([&] { read_cache(backend, {kPlatform}); }).code();
}

TEST_CASE("a cache in a directory is read as it was written") {
  Place place;
  const auto backend = place.open();
  place.put_cache(*backend, "RUN x");
  const RemoteDocument found = read_cache(*place.open(), {kPlatform});
  CHECK(found.index == Place::index_of("RUN x"));
  CHECK(found.locator == "oci-layout://" + place.directory);
  CHECK(backend->name() == "directory " + place.directory);
}

TEST_CASE("a directory that is not a layout, or lacks the tag, is not found") {
  Place place;
  CHECK(read_code(*place.open()) == ErrorCode::not_found);
  place.put_cache(*place.open("one"), "RUN x");
  CHECK(read_code(*place.open("two")) == ErrorCode::not_found);
}

TEST_CASE("tags lie side by side; a digest names one of them whatever its tag") {
  Place place;
  place.put_cache(*place.open("one"), "RUN 1");
  place.put_cache(*place.open("two"), "RUN 2");
  CHECK(read_cache(*place.open("one"), {kPlatform}).index.records[0].step_name == "RUN 1");
  CHECK(read_cache(*place.open("two"), {kPlatform}).index.records[0].step_name == "RUN 2");
  const Digest two = oci::ImageLayout::open(place.directory).find("two").digest;
  const CacheSpec spec = parse_cache_from(cat("type=local,src=", place.directory, ",digest=", two.str()));
  CHECK(read_cache(*open_cache_import(spec, {place.store, nullptr}), {kPlatform}).index.records[0].step_name ==
        "RUN 2");
}

TEST_CASE("a directory that is exported to again does not grow, and keeps blobs that others need") {
  Place place;
  const std::string first = oci::to_json(place.put_cache(*place.open("one"), "RUN 1"));
  place.put_cache(*place.open("two"), "RUN 2");
  place.put_cache(*place.open("one"), "RUN 3");
  CHECK_FALSE(place.holds(first));
  CHECK_FALSE(place.holds("layer of RUN 1"));
  CHECK(place.holds("shared"));
  CHECK(place.holds("layer of RUN 2"));
  CHECK(place.holds("layer of RUN 3"));
  CHECK(oci::ImageLayout::open(place.directory).index().manifests.size() == 2);
}

TEST_CASE("blobs stay when something in the directory cannot be read") {
  Place place;
  place.put_cache(*place.open("one"), "RUN 1");
  const std::string other = oci::to_json(place.put_cache(*place.open("two"), "RUN 2"));
  CHECK(::unlink((place.directory + "/blobs/sha256/" + sha256(other).hex()).c_str()) == 0);
  place.put_cache(*place.open("one"), "RUN 3");
  CHECK(place.holds("layer of RUN 1"));
  CHECK(read_cache(*place.open("one"), {kPlatform}).index.records[0].step_name == "RUN 3");
}

TEST_CASE("the manifest of a cache comes along, and not that of an image") {
  Place place;
  const oci::Manifest manifest = place.put_cache(*place.open("one"), "RUN 1");
  CHECK(read_cache(*place.open("one"), {kPlatform}).body == oci::to_json(manifest));
  place.put_image(*place.open(), {{kInlineCacheKey, to_json(Place::index_of("RUN x"))}});
  CHECK(read_cache(*place.open(), {kPlatform}).body.empty());
}

TEST_CASE("only blobs that a directory has are offered") {
  Place place;
  const auto backend = place.open();
  oci::Descriptor blob = place.put(*backend, "content", oci::media_type::kLayer);
  CHECK(backend->offer_blob(blob, std::nullopt));
  ++blob.size;
  CHECK_FALSE(backend->offer_blob(blob, std::nullopt));
  blob.digest = digest_of("other");
  CHECK_FALSE(backend->offer_blob(blob, std::nullopt));
}

TEST_CASE("an image's own cache finds the blobs of its layers by diff id") {
  Place place;
  place.put_image(*place.open(), {{kInlineCacheKey, to_json(Place::index_of("RUN x"))}});
  const RemoteIndex index = read_cache(*place.open(), {kPlatform}).index;
  REQUIRE(index.layers.size() == 1);
  CHECK(index.layers[0].blob.digest == sha256("x"));
  CHECK(index.layers[0].blob.size == 1);
}

TEST_CASE("layers that the image does not have stay without a blob") {
  Place place;
  place.put_image(*place.open(), {{kInlineCacheKey, to_json(Place::index_of("RUN other"))}});
  CHECK(read_cache(*place.open(), {kPlatform}).index.layers.at(0).blob.digest.empty());
}

TEST_CASE("an image without a cache is not one") {
  Place place;
  place.put_image(*place.open(), {});
  CHECK(read_code(*place.open()) == ErrorCode::not_found);
  place.put_image(*place.open(), {{kInlineCacheKey, "[]"}});
  CHECK(read_code(*place.open()) == ErrorCode::corrupt);
}

TEST_CASE("a cache of BuildKit is called that, in each of its forms") {
  Place place;
  const auto backend = place.open();
  const std::string type = "application/vnd.buildkit.cacheconfig.v0";
  const oci::Descriptor layer = place.put(*backend, "layer", oci::media_type::kLayer);
  const oci::Descriptor config = place.put(*backend, "{}", type);
  SUBCASE("index") {
    oci::Index index;
    index.manifests = {layer, config};
    backend->put_manifest(oci::to_json(index));
  }
  SUBCASE("image manifest") {
    oci::Manifest manifest;
    manifest.config = config;
    manifest.layers = {layer};
    backend->put_manifest(oci::to_json(manifest));
  }
  SUBCASE("in an image") { place.put_image(*backend, {{"moby.buildkit.cache.v0", R"("W10=")"}}); }
  const Error error = error_of([&] { read_cache(*backend, {kPlatform}); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK(std::string(error.what()).find("a cache of BuildKit") != std::string::npos);
}

TEST_CASE("of an index the image for the platform counts") {
  Place place;
  const auto backend = place.open();
  oci::Descriptor image = place.put_image(*backend, {{kInlineCacheKey, to_json(Place::index_of("RUN x"))}});
  oci::Index index;
  image.platform = kPlatform;
  index.manifests = {image};
  backend->put_manifest(oci::to_json(index));
  CHECK(read_cache(*place.open(), {kPlatform}).index.records.size() == 1);
  CHECK(error_of([&] { read_cache(*backend, {*oci::parse_platform("linux/s390x")}); }).code() == ErrorCode::not_found);
}

TEST_CASE("of an index the images for all platforms count that are built, those without a cache do not") {
  Place place;
  const auto backend = place.open();
  oci::Index index;
  const std::vector<std::pair<const char*, const char*>> images = {
      {"linux/amd64", "RUN x"}, {"linux/arm64", "RUN y"}, {"linux/s390x", nullptr}};
  std::vector<oci::Platform> platforms;
  for (const auto& [platform, step] : images) {
    std::map<std::string, std::string> extra;
    if (step != nullptr) extra[kInlineCacheKey] = to_json(Place::index_of(step));
    index.manifests.push_back(place.put_image(*backend, extra, false));
    index.manifests.back().platform = oci::parse_platform(platform);
    platforms.push_back(*index.manifests.back().platform);
  }
  backend->put_manifest(oci::to_json(index));
  const RemoteIndex found = read_cache(*place.open(), platforms).index;
  REQUIRE(found.records.size() == 2);
  CHECK(found.records[0].step_name == "RUN x");
  CHECK(found.records[1].step_name == "RUN y");
  CHECK(error_of([&] {
          read_cache(*backend, {platforms[2], *oci::parse_platform("linux/riscv64")});
        }).code() == ErrorCode::not_found);
}

TEST_CASE("indexes that are nested without end are given up") {
  Place place;
  const auto backend = place.open();
  oci::Descriptor inner = place.put_image(*backend, {});
  for (int depth = 0; depth < 6; ++depth) {
    oci::Index index;
    inner.platform = kPlatform;
    index.manifests = {inner};
    inner = place.put(*backend, oci::to_json(index), oci::media_type::kIndex);
    backend->put_manifest(oci::to_json(index));
  }
  CHECK(read_code(*backend) == ErrorCode::corrupt);
}

TEST_CASE("a damaged or oversized index is refused as corrupt") {
  Place place;
  const auto backend = place.open();
  oci::Manifest manifest = place.put_cache(*backend, "RUN x");
  SUBCASE("cut off") {
    oci::Descriptor& config = manifest.config;
    CHECK(::truncate((place.directory + "/blobs/sha256/" + config.digest.hex()).c_str(), 20) == 0);
  }
  SUBCASE("no index") { manifest.config = place.put(*backend, "{}", kRemoteIndexType); }
  SUBCASE("too large") { manifest.config.size = kMaxRemoteIndex + 1; }
  backend->put_manifest(oci::to_json(manifest));
  CHECK(read_code(*backend) == ErrorCode::corrupt);
}

TEST_CASE("a blob that the store lacks cannot be put") {
  Place place;
  const oci::Descriptor missing{
      .media_type = std::string(oci::media_type::kLayer), .digest = digest_of("missing"), .sha512 = {}, .size = 7};
  CHECK(error_of([&] { place.open()->put_blob(missing, std::nullopt); }).code() == ErrorCode::not_found);
}

}  // namespace
}  // namespace cbuild::cache
