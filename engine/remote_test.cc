// SPDX-License-Identifier: Apache-2.0
// Base images from layout directories: which entry of an index is taken, and which images are refused.
#include "engine/remote.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cache/cached_layers.h"
#include "oci/layout.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::engine {
namespace {

using oci::media_type::kIndex;
using oci::media_type::kManifest;

constexpr char kCacheConfig[] = "application/vnd.buildkit.cacheconfig.v0";
const oci::Platform kWanted = *oci::parse_platform("linux/amd64");

/// A layout directory that is read as a base, and a store to take it into.
struct BaseLayout {
  TempDir temp = TempDir::in_tmp("remote-test");
  oci::ImageLayout layout = oci::ImageLayout::create(temp.path() + "/layout");
  cache::Store store{{.root = temp.path() + "/store"}};
  SourceSettings settings;
  NullProgress progress;
  CancelSource cancel;
  Remote remote{store, settings, progress, cancel};

  oci::Descriptor put(const std::string& content, std::string_view type) {
    return oci::put_blob(layout.blobs(), content, std::string(type));
  }
  oci::Descriptor put_image(const std::string& architecture) {
    oci::Manifest manifest;
    manifest.config =
        put(cat(R"({"architecture":")", architecture, R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})"),
            oci::media_type::kConfig);
    return put(oci::to_json(manifest), kManifest);
  }
  oci::Descriptor put_index(oci::Descriptor entry, std::string_view architecture = "amd64") {
    entry.platform = oci::parse_platform(cat("linux/", architecture));
    oci::Index index;
    index.manifests = {std::move(entry)};
    return put(oci::to_json(index), kIndex);
  }
  frontend::ResolvedImage resolve(const oci::Descriptor& top) {
    const std::string locator = cat("oci-layout://", temp.path(), "/layout@", top.digest.str());
    oci::Index index;
    index.manifests = {top};
    layout.write_index(index);
    return StoreImageResolver(store, remote, PullPolicy::missing).resolve(locator, {}, kWanted);
  }
  Error refusal(const oci::Descriptor& top) {
    try {
      resolve(top);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::internal, "it was taken");
  }
};

/// A registry with one name for images of two platforms, and a store to take them into.
struct RegistryBase {
  TempDir temp = TempDir::in_tmp("remote-test");
  oci::registry::FakeRegistry registry;
  cache::Store store{{.root = temp.path() + "/store"}};
  SourceSettings settings;
  NullProgress progress;
  CancelSource cancel;
  Remote remote{store, settings, progress, cancel};
  const oci::Platform native = oci::host_platform();
  const oci::Platform other = *oci::parse_platform(native.architecture == "s390x" ? "linux/amd64" : "linux/s390x");

  RegistryBase() {
    oci::Index index;
    for (const oci::Platform& platform : {other, native}) {
      const std::string config = cat(R"({"architecture":")", platform.architecture,
                                     R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
      oci::Manifest manifest;
      manifest.config = oci::registry::descriptor_of(config);
      manifest.config.media_type = oci::media_type::kConfig;
      registry.add_blob("team/app", config);
      const std::string body = oci::to_json(manifest);
      registry.add_manifest("team/app", "", body);
      oci::Descriptor entry = oci::registry::descriptor_of(body);
      entry.media_type = kManifest;
      entry.platform = platform;
      index.manifests.push_back(entry);
    }
    registry.add_manifest("team/app", "1", oci::to_json(index), std::string(kIndex));
  }
  std::string resolve(const oci::Platform& platform, PullPolicy pull = PullPolicy::missing) {
    const std::string name = registry.server->authority() + "/team/app:1";
    return StoreImageResolver(store, remote, pull).resolve(name, {}, platform).config.platform.architecture;
  }
  std::size_t asked() const { return registry.server->log().size(); }
};

void check_is_called_a_cache(const Error& error) {
  const std::string text = error.what();
  CAPTURE(text);
  CHECK(error.code() == ErrorCode::input);
  CHECK(text.find("is a build cache of BuildKit, not an image") != std::string::npos);
  CHECK(error.hint().find("caches are exported under tags of their own") != std::string::npos);
}

TEST_CASE_FIXTURE(BaseLayout, "the image in an index that an index lists") {
  const oci::Descriptor image = put_image("amd64");
  CHECK(resolve(put_index(image)).manifest == image.digest);
  const frontend::ResolvedImage found = resolve(put_index(put_index(image)));
  CHECK(found.manifest == image.digest);
  CHECK(found.config.platform.architecture == "amd64");
  CHECK(store.blobs().size(image.digest).has_value());
}

TEST_CASE_FIXTURE(BaseLayout, "indexes that are nested without end are given up") {
  oci::Descriptor top = put_image("amd64");
  for (int depth = 0; depth < 10; ++depth) top = put_index(top);
  const Error error = refusal(top);
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK(std::string(error.what()).find("nested too deeply") != std::string::npos);
}

TEST_CASE_FIXTURE(BaseLayout, "an inner index that lacks the platform says what it has") {
  const Error error = refusal(put_index(put_index(put_image("arm64"), "arm64")));
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK(error.hint().find("it has: linux/arm64") != std::string::npos);
}

TEST_CASE_FIXTURE(BaseLayout, "a cache of BuildKit as a base is called that, in each of its forms") {
  const oci::Descriptor layer = put("layer", oci::media_type::kLayer);
  const oci::Descriptor config = put("{}", kCacheConfig);
  oci::Index index;
  index.manifests = {layer, config};
  const oci::Descriptor as_index = put(oci::to_json(index), kIndex);
  oci::Manifest manifest;
  manifest.config = config;
  manifest.layers = {layer};
  const oci::Descriptor as_image = put(oci::to_json(manifest), kManifest);

  check_is_called_a_cache(refusal(as_index));
  check_is_called_a_cache(refusal(as_image));
  check_is_called_a_cache(refusal(put_index(as_image)));
}

TEST_CASE_FIXTURE(RegistryBase, "one name is kept once for each platform") {
  CHECK(resolve(other) == other.architecture);
  CHECK(resolve(native) == native.architecture);
  const std::size_t before = asked();
  CHECK(resolve(other) == other.architecture);
  CHECK(resolve(native) == native.architecture);
  CHECK(asked() == before);
}

TEST_CASE_FIXTURE(RegistryBase, "an index that was built here has the images of its platforms under the plain name") {
  oci::Index index;
  for (const oci::Platform& platform : {native, other}) {
    oci::Manifest manifest;
    manifest.config =
        oci::put_blob(store.blobs(),
                      cat(R"({"architecture":")", platform.architecture,
                          R"(","os":"linux","author":"built here","rootfs":{"type":"layers","diff_ids":[]}})"),
                      std::string(oci::media_type::kConfig));
    index.manifests.push_back(oci::put_blob(store.blobs(), oci::to_json(manifest), std::string(kManifest)));
    index.manifests.back().platform = platform;
  }
  const std::string name = registry.server->authority() + "/team/app:1";
  store.set_image({name, oci::put_blob(store.blobs(), oci::to_json(index), std::string(kIndex)).digest, 1});
  StoreImageResolver images(store, remote, PullPolicy::never);
  for (std::size_t i = 0; i < 2; ++i) {
    const oci::Platform& platform = i == 0 ? native : other;
    const frontend::ResolvedImage found = images.resolve(name, {}, platform);
    CHECK(found.config.platform.architecture == platform.architecture);
    CHECK(found.config.author == "built here");
    CHECK(found.manifest == index.manifests[i].digest);
  }
  CHECK_THROWS_AS(images.resolve(name, {}, *oci::parse_platform("linux/mips64le")), Error);
  CHECK(asked() == 0);
}

TEST_CASE_FIXTURE(RegistryBase, "--pull=never takes what the store has and asks no registry") {
  try {
    resolve(native, PullPolicy::never);
    FAIL("it was pulled");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(std::string(error.what()).find("--pull=never") != std::string::npos);
  }
  CHECK(asked() == 0);
  resolve(native);
  const std::size_t before = asked();
  CHECK(resolve(native, PullPolicy::never) == native.architecture);
  CHECK(asked() == before);
  resolve(native, PullPolicy::always);
  CHECK(asked() > before);
}

TEST_CASE_FIXTURE(RegistryBase, "a layer of a cache that comes too slowly is given up, with all that its cache has") {
  const std::string content(2000, 'x');
  cache::Layer layer;
  layer.blob = oci::registry::descriptor_of(content);
  layer.id = layer.diff_id = registry.add_blob("team/app", content);
  const std::string locator = cat("docker-image://", registry.server->authority(), "/team/app:cache");
  layer.fetch_from = cat(cache::kCacheOrigin, locator);
  store.add_lazy_layer(layer);
  registry.alter = [](const http::FakeRequest& request, http::FakeResponse& response) {
    if (request.path.find("/blobs/") != std::string::npos) response.drip_ms = 20;
  };
  settings.transfer_limits.rate = 0;
  remote.set_race({std::chrono::milliseconds(500), [&](const std::string& of) { return of == locator ? 1 : 0; }});
  try {
    remote.fetch(layer, store.blobs());
    FAIL("it was waited for");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::missing_content);
    CHECK(error.message().find("so slow that running the steps takes less time") != std::string::npos);
  }
  CHECK(cache::is_missing_origin(store, layer.fetch_from));
}

TEST_CASE("where an oci-layout:// name ends and its selector begins") {
  const auto parts = [](const char* text) {
    const LayoutLocator found = parse_layout_locator(text);
    return std::pair(found.path, found.selector);
  };
  using Parts = std::pair<std::string, std::string>;
  CHECK(parts("oci-layout:///a/b") == Parts{"/a/b", ""});
  CHECK(parts("oci-layout:///a/b:1.2") == Parts{"/a/b", "1.2"});
  CHECK(parts("oci-layout:///a:b/c") == Parts{"/a:b/c", ""});
  CHECK(parts("oci-layout:///a/b@sha256:0") == Parts{"/a/b", "@sha256:0"});
}

}  // namespace
}  // namespace cbuild::engine
