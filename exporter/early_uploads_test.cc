// SPDX-License-Identifier: Apache-2.0
// Layers on their way to a registry before the push: what the push still does, and what is left without one.
#include "exporter/early_uploads.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "base/test_wait.h"
#include "exporter/push.h"
#include "exporter/test_support.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::exporter {
namespace {

using namespace testing;

/// A store whose packer tells about its blobs, and the registry that they are for.
struct EarlyBench {
  TempStore temp;
  cache::Store store{temp.options()};
  oci::registry::FakeRegistry registry;
  oci::registry::ClientFixture fixture;
  CancelSource unused;
  std::optional<EarlyUploads> early;
  std::optional<cache::Packer> packer;
  ExportContext context{
      store, &fixture.client(), [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); }, nullptr, 0, nullptr};

  EarlyBench() {
    early.emplace(store, [this](const CancelSource& cancel) {
      oci::registry::Options options = fixture.options;
      options.cancel = &cancel;
      return std::make_unique<oci::registry::Client>(options);
    });
    packer.emplace(store, oci::layer::PackOptions{}, &*early);
    context.early = &*early;
  }
  ~EarlyBench() {
    packer.reset();
    early.reset();
  }

  oci::Reference target() const { return registry.reference("app:1"); }
  /// A chain of one layer, that is not packed yet.
  Digest layer(const std::string& content, const Digest& parent = {}) {
    return make_layer(store, parent, "file", content, kSecond);
  }
  Digest top(const Digest& chain) { return store.chain_layers(chain).back(); }
  BuiltImage image(const Digest& chain) {
    ImageResult result;
    result.chain = chain;
    result.config.platform = *oci::parse_platform("linux/amd64");
    return build_image(store, *packer, result, {});
  }
  bool is_pushed(const BuiltImage& image) {
    push_images(single_image(image), target().str(), false, context);
    const auto has = [&](const oci::Descriptor& blob) { return registry.blobs.contains("app@" + blob.digest.str()); };
    return has(image.config) && std::all_of(image.content.layers.begin(), image.content.layers.end(), has) &&
           registry.manifests.contains("app@1");
  }
  void wait_for_chunk() const {
    const test::Awaiting wait("a chunk of an early upload");
    while (count("PATCH", "") == 0) std::this_thread::yield();
  }
  std::size_t count(const char* method, const std::string& path) const { return registry.server->count(method, path); }
};

}  // namespace

TEST_CASE("a new layer is sent while it is packed and is named by the push") {
  EarlyBench bench;
  const Digest chain = bench.layer("content");
  bench.early->expect(bench.top(chain), bench.target(), true);
  bench.packer->start(chain);
  const BuiltImage image = bench.image(chain);
  const std::string layer = image.content.layers.at(0).digest.str();
  CHECK_FALSE(bench.registry.blobs.contains("app@" + layer));
  CHECK(bench.is_pushed(image));
  CHECK(bench.count("HEAD", "/blobs/" + layer) == 0);
  CHECK(bench.count("PATCH", "") <= 1);  // none, if the push was there first
  CHECK(bench.registry.violations.empty());
  CHECK(bench.registry.uploads.empty());
}

TEST_CASE("a layer that a registry may have is offered before it is sent") {
  EarlyBench bench;
  const Digest known = bench.layer("known"), unknown = bench.layer("unknown");
  const std::vector<cache::Layer> packed = cache::Packer(bench.store, {}).finish(known);
  bench.registry.add_blob("app", oci::read_blob(bench.store.blobs(), packed.at(0).blob->digest));
  bench.early->add(*packed.at(0).blob, bench.target());
  bench.early->expect(bench.top(unknown), bench.target(), false);
  const BuiltImage second = bench.image(unknown);
  bench.wait_for_chunk();
  CHECK(bench.count("HEAD", second.content.layers.at(0).digest.str()) == 1);
  const test::Awaiting wait("the question for a known blob");
  while (bench.count("HEAD", packed.at(0).blob->digest.str()) == 0) std::this_thread::yield();
  CHECK(bench.early->finish(bench.target(), *packed.at(0).blob, nullptr, nullptr));
  CHECK_FALSE(bench.early->finish(bench.target(), *packed.at(0).blob, nullptr, nullptr));  // once
  CHECK(bench.is_pushed(second));
  CHECK(bench.count("PATCH", "") == 1);
}

TEST_CASE("a build without a push in the end leaves nothing at the registry") {
  EarlyBench bench;
  const Digest chain = bench.layer("content");
  bench.early->expect(bench.top(chain), bench.target(), true);
  const BuiltImage image = bench.image(chain);
  bench.wait_for_chunk();
  bench.packer.reset();
  bench.context.early = nullptr;
  bench.early.reset();
  CHECK(bench.count("DELETE", "/uploads/") == 1);
  CHECK(bench.registry.uploads.empty());
  CHECK(bench.registry.blobs.empty());
  CHECK(bench.count("PUT", "") == 0);
}

TEST_CASE("layers of other repositories, and those that nobody expects, are pushed as ever") {
  EarlyBench bench;
  const Digest chain = bench.layer("top", bench.layer("bottom"));
  bench.early->expect(bench.top(chain), bench.registry.reference("elsewhere:1"), true);
  const BuiltImage image = bench.image(chain);
  CHECK(bench.is_pushed(image));
  CHECK_FALSE(bench.registry.blobs.contains("elsewhere@" + image.content.layers.at(1).digest.str()));
}

TEST_CASE("a registry without chunks is asked for them once, and gets the layers whole") {
  EarlyBench bench;
  bench.registry.takes_chunks = false;
  Digest chain;
  for (const char* content : {"one", "two", "three", "four"}) {
    chain = bench.layer(content, chain);
    bench.early->expect(bench.top(chain), bench.target(), true);
    const BuiltImage image = bench.image(chain);
    CHECK_FALSE(bench.early->finish(bench.target(), image.content.layers.back(), nullptr, nullptr));
  }
  CHECK(bench.is_pushed(bench.image(chain)));
  CHECK(bench.count("PATCH", "") <= 2);  // two are on their way at once
}

TEST_CASE("early uploads that fail are pushed whole") {
  EarlyBench bench;
  std::atomic<int> broken{0};
  bench.registry.script = [&](const http::FakeRequest& request) -> std::optional<http::FakeResponse> {
    if (request.method != "PATCH") return std::nullopt;
    ++broken;
    return oci::registry::error_response(404, "BLOB_UPLOAD_UNKNOWN", "gone");
  };
  const Digest chain = bench.layer("content");
  bench.early->expect(bench.top(chain), bench.target(), true);
  const BuiltImage image = bench.image(chain);
  bench.wait_for_chunk();
  CHECK(bench.is_pushed(image));
  CHECK(broken <= 2);
  CHECK(bench.registry.uploads.empty());
}

}  // namespace cbuild::exporter
