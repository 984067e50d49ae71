// SPDX-License-Identifier: Apache-2.0
// Pushes to a fake registry: how few bytes move, and which names the image gets.
#include "exporter/push.h"

#include <doctest/doctest.h>

#include "cache/blob_places.h"
#include "exporter/test_support.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::exporter {
namespace {

using namespace testing;

struct PushBench : Workshop {
  oci::registry::FakeRegistry registry;
  oci::registry::ClientFixture fixture;
  ExportContext context{
      store, &fixture.client(), [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); }, nullptr, 0, nullptr};

  std::string name(const std::string& rest) const { return registry.reference(rest).str(); }
  std::string tagged(const std::string& key) const {
    const auto found = registry.manifests.find(key);
    return found == registry.manifests.end() ? "" : found->second.second;
  }
};

}  // namespace

TEST_CASE("a push by tag moves the tag, one by digest does not") {
  PushBench bench;
  const BuiltImage first = bench.image("first"), second = bench.image("second"), third = bench.image("third");
  push_images(single_image(first), bench.name("app:1"), false, bench.context);
  CHECK(bench.tagged("app@1") == first.manifest_json);
  push_images(single_image(second), bench.name("app:1"), true, bench.context);
  CHECK(bench.tagged("app@1") == first.manifest_json);
  CHECK(bench.tagged("app@" + second.manifest.digest.str()) == second.manifest_json);
  push_images(single_image(third), bench.name("app:1"), false, bench.context);
  CHECK(bench.tagged("app@1") == third.manifest_json);
  CHECK(bench.registry.violations.empty());
}

TEST_CASE("an image that the name gives already costs one question") {
  PushBench bench;
  const BuiltImage first = bench.image("first"), second = bench.image("second");
  std::vector<std::string> requests;
  bench.registry.script = [&](const http::FakeRequest& request) {
    requests.push_back(cat(request.method, " ", request.target));
    return std::nullopt;
  };
  const auto push = [&](const BuiltImage& image, bool by_digest) {
    requests.clear();
    push_images(single_image(image), bench.name("app:1"), by_digest, bench.context);
    return requests.size();
  };
  CHECK(push(first, false) > 1);
  CHECK(push(first, false) == 1);
  CHECK(requests.at(0) == "HEAD /v2/app/manifests/1");
  CHECK(push(first, true) == 1);
  CHECK(push(second, true) > 1);  // the tag gives another one
  CHECK(push(second, false) > 1);
  CHECK(bench.tagged("app@1") == second.manifest_json);
  CHECK(push(first, false) > 1);
  CHECK(bench.tagged("app@1") == first.manifest_json);
  const Digest layer = first.content.layers.at(0).digest;
  CHECK(cache::blob_places(bench.store, oci::parse_reference(bench.name("app:1")).registry, layer).size() == 1);
}

TEST_CASE("a foreign layer stays where its URLs are") {
  PushBench bench;
  BuiltImage image = bench.image("x");
  const Digest layer = image.content.layers[0].digest;
  image.content.layers[0].media_type = oci::media_type::kDockerLayerForeign;
  image.content.layers[0].urls = {"https://elsewhere.test/layer"};
  image.manifest_json = oci::to_json(image.content);
  image.manifest = oci::put_blob(bench.store.blobs(), image.manifest_json, image.content.media_type);
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  CHECK(bench.tagged("app@1") == image.manifest_json);
  CHECK_FALSE(bench.registry.blobs.contains("app@" + layer.str()));
  CHECK(bench.registry.blobs.contains("app@" + image.config.digest.str()));
}

TEST_CASE("a registry that answers no HEAD gets the image all the same") {
  PushBench bench;
  const BuiltImage image = bench.image("x");
  bench.registry.script = [](const http::FakeRequest& request) -> std::optional<http::FakeResponse> {
    if (request.method != "HEAD" || request.target.find("/manifests/") == std::string::npos) return std::nullopt;
    return oci::registry::error_response(405, "UNSUPPORTED", "no HEAD");
  };
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  CHECK(bench.tagged("app@1") == image.manifest_json);
}

TEST_CASE("a name with a digest only is a push by digest") {
  PushBench bench;
  const BuiltImage image = bench.image("x");
  push_images(single_image(image),
              cat(oci::parse_reference(bench.name("app:1")).name(), "@", image.manifest.digest.str()), false,
              bench.context);
  CHECK(bench.tagged("app@" + image.manifest.digest.str()) == image.manifest_json);
  CHECK(bench.tagged("app@latest").empty());
}

TEST_CASE("equal layers are pushed once, and what the registry has not at all") {
  PushBench bench;
  const Digest below = bench.layer({}, "file", "same", kSecond);
  const BuiltImage image =
      build_image(bench.store, bench.packer, bench.result(bench.layer(below, "file", "same", kSecond)), {});
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  CHECK(bench.registry.uploads_begun == 2);  // the layer, the config
  push_images(single_image(image), bench.name("app:2"), false, bench.context);
  CHECK(bench.registry.uploads_begun == 2);
  CHECK(bench.tagged("app@2") == image.manifest_json);
}

TEST_CASE("a base layer that the registry has in another repository is not sent again") {
  PushBench bench;
  const Digest base = bench.layer({}, "base", "base", kSecond);
  cache::Layer lazy;
  const cache::Layer packed = bench.packer.finish(base).at(0);
  lazy.id = lazy.diff_id = packed.diff_id;
  lazy.blob = packed.blob;
  lazy.fetch_from = cat("docker-image://", bench.name("base:1"));
  bench.store.add_lazy_layer(lazy);
  bench.registry.add_blob("base", oci::read_blob(bench.store.blobs(), packed.blob->digest));
  const Digest chain = bench.store.extend({}, lazy.id, {}).id;
  const ImageResult built = bench.result(bench.layer(chain, "own", "own", kSecond), 1);
  const BuiltImage image = build_image(bench.store, bench.packer, built, {});
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  CHECK(bench.registry.uploads_begun == 2);  // the own layer, the config
  CHECK(bench.registry.blobs.contains(cat("app@", packed.blob->digest.str())));
  CHECK(bench.tagged("app@1") == image.manifest_json);
}

TEST_CASE("a layer made here is mounted from where it was pushed first") {
  PushBench bench;
  const BuiltImage image = bench.image("x");
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  CHECK(bench.registry.uploads_begun == 2);
  push_images(single_image(image), bench.name("other:1"), false, bench.context);
  CHECK(bench.registry.uploads_begun == 3);  // the config
  CHECK(bench.registry.blobs.contains(cat("other@", image.content.layers[0].digest.str())));
}

TEST_CASE("a base that came from elsewhere is mounted from where this build found it") {
  PushBench bench;
  const ImageResult built = bench.result(bench.base(), 1);  // from base.test
  const BuiltImage image = build_image(bench.store, bench.packer, built, {});
  const Digest layer = image.content.layers[0].digest;
  bench.registry.add_blob("base", oci::read_blob(bench.store.blobs(), layer));
  const std::string name = bench.name("app:1"), locator = cat("docker-image://", bench.name("base:1"));
  note_base(bench.store, locator, image.manifest.digest, {"elsewhere.test/app:1"});
  CHECK(cache::blob_places(bench.store, oci::parse_reference(name).registry, layer).empty());
  note_base(bench.store, locator, image.manifest.digest, {"elsewhere.test/app:1", name});
  push_images(single_image(image), name, false, bench.context);
  CHECK(bench.registry.uploads_begun == 1);  // the config
  CHECK(bench.registry.blobs.contains(cat("app@", layer.str())));
}

TEST_CASE("a place that lost the blob costs an upload, and the next place is asked") {
  PushBench bench;
  const BuiltImage image = bench.image("x");
  push_images(single_image(image), bench.name("app:1"), false, bench.context);
  push_images(single_image(image), bench.name("other:1"), false, bench.context);
  bench.registry.blobs.erase(cat("other@", image.content.layers[0].digest.str()));
  push_images(single_image(image), bench.name("third:1"), false, bench.context);
  CHECK(bench.registry.blobs.contains(cat("third@", image.content.layers[0].digest.str())));
  bench.registry.blobs.clear();
  push_images(single_image(image), bench.name("fourth:1"), false, bench.context);
  CHECK(bench.registry.blobs.contains(cat("fourth@", image.content.layers[0].digest.str())));
  CHECK(bench.tagged("fourth@1") == image.manifest_json);
}

}  // namespace cbuild::exporter
