// SPDX-License-Identifier: Apache-2.0
// Exports to a cache in memory, which counts the blobs it gets and refuses manifests whose blobs it lacks, as
// registries do.
#include "exporter/cache_export.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

#include "cache/cached_layers.h"
#include "cache/test_support.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

using namespace cache::testing;
using cache::Chain;
using cache::Packer;
using cache::RemoteIndex;

constexpr std::int64_t kDayNs = 86'400'000'000'000;

/// A place in memory that counts the blobs it gets, and fails on demand.
class MemoryBackend final : public cache::CacheBackend {
 public:
  explicit MemoryBackend(cache::Store& store) : store_(store) {}
  std::string name() const override { return "memory"; }
  std::string locator() const override { return "docker-image://memory.test/cache:main"; }

  std::string manifest(const std::optional<Digest>&) override {
    if (manifest_error) throw Error(*manifest_error, "manifest");
    if (body.empty()) throw Error(ErrorCode::not_found, "no manifest");
    return body;
  }
  std::string document(const oci::Descriptor& descriptor) override { return blobs.at(descriptor.digest); }
  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    const std::scoped_lock lock(mutex_);
    if (put_error) throw Error(*put_error, "put");
    ++puts;
    mounted_from.push_back(from ? from->str() : "");
    blobs[descriptor.digest] = oci::read_blob(store_.blobs(), descriptor.digest);
  }
  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    const std::scoped_lock lock(mutex_);
    offered_from.push_back(from ? from->str() : "");
    if (takes_offers) blobs[descriptor.digest] = "taken from another repository";
    return takes_offers;
  }
  /// As a registry does, refuses a manifest whose blobs it does not have.
  bool put_manifest(std::string_view text) override {
    if (!meanwhile.empty()) {
      body = std::exchange(meanwhile, {});
      return false;
    }
    const oci::Manifest manifest = std::get<oci::Manifest>(oci::parse_manifest(text));
    for (const oci::Descriptor& layer : manifest.layers)
      if (!blobs.contains(layer.digest)) throw Error(ErrorCode::network, "MANIFEST_BLOB_UNKNOWN");
    body = text;
    ++manifests;
    return true;
  }
  bool keeps_named_blobs() const override { return keeps; }
  RemoteIndex index() {
    const oci::Manifest manifest = std::get<oci::Manifest>(oci::parse_manifest(body));
    CHECK(manifest.config.media_type == cache::kRemoteIndexType);
    return cache::parse_remote_index(blobs.at(manifest.config.digest));
  }

  std::string body;
  std::map<Digest, std::string> blobs;
  std::optional<ErrorCode> manifest_error, put_error;
  bool takes_offers = false, keeps = true;
  std::string meanwhile;  ///< the manifest that another build writes before the next one
  unsigned puts = 0, manifests = 0;
  std::vector<std::string> mounted_from, offered_from;

 private:
  cache::Store& store_;
  std::mutex mutex_;
};

/// A build: "RUN a" and on it "RUN b" make the image, "RUN side" is a step of another stage.
struct Built {
  TempStore temp;
  cache::Store store{temp.options()};
  MemoryBackend backend{store};
  Packer packer{store, {}};
  ExportContext context{store,   nullptr, [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); },
                        nullptr, 0,       nullptr};
  CacheContent content;
  cache::CacheSpec spec;

  Built() {
    const Chain a = add("RUN a", {});
    content.image_chains = {add("RUN b", a.id).id};
    add("RUN side", {});
  }
  /// A step that adds a file of its own.
  Chain add(const std::string& step, const Digest& parent) {
    const Chain chain = add_file_layer(store, parent, step, step);
    cache::Record record = record_of(digest_of("content " + step), chain.id, step);
    record.created_ns = 77;
    record.parts = {{"op", step}, {"about time", "of this machine"}};
    content.steps.push_back({digest_of("definition " + step), record});
    return chain;
  }
  CacheExportReport run() { return export_cache(spec, backend, content, packer, context); }
};

std::vector<std::string> names(const RemoteIndex& index) {
  std::vector<std::string> out;
  for (const auto& record : index.records) out.push_back(record.step_name);
  return out;
}

TEST_CASE("mode=min exports the steps below the image, mode=max those of all stages") {
  Built build;
  CacheExportReport report = build.run();
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b"});
  CHECK(report.records == 2);
  CHECK(report.blobs_new == 2);
  CHECK(report.bytes_new > 0);
  CHECK_FALSE(report.unchanged);

  build.spec.all_steps = true;
  report = build.run();
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b", "RUN side"});
  CHECK(report.blobs_new == 1);
  CHECK(report.blobs_known == 2);
}

TEST_CASE("a record holds its keys, chain and layers, and nothing that speaks of this machine") {
  Built build;
  build.run();
  const RemoteIndex index = build.backend.index();
  REQUIRE(index.records.size() == 2);
  const auto& record = index.records[1];
  CHECK(record.keys == std::vector<Digest>{digest_of("content RUN b"), digest_of("definition RUN b")});
  CHECK(record.created_ns == 77);
  CHECK(record.used_day == sys::now_ns() / kDayNs);
  CHECK(record.parts == std::vector<solver::KeyPart>{{"op", "RUN b"}});
  REQUIRE(record.chain == 1);
  CHECK(index.chains[1].parent == 0);
  const auto& layer = index.layers.at(index.chains[1].layer);
  const auto known = build.store.layer(build.store.chain_layers(build.content.image_chains[0])[1]);
  CHECK(layer.diff_id == known->diff_id);
  CHECK(layer.blob.digest == known->blob->digest);
  CHECK(build.backend.blobs.contains(layer.blob.digest));
}

TEST_CASE("a step whose keys are one is written with one key") {
  Built build;
  build.content.steps[0].definition_key = build.content.steps[0].record.key;
  build.run();
  CHECK(build.backend.index().records[0].keys.size() == 1);
}

TEST_CASE("the same cache again writes nothing") {
  Built build;
  build.run();
  const unsigned puts = build.backend.puts;
  const CacheExportReport report = build.run();
  CHECK(report.unchanged);
  CHECK(report.blobs_known == 2);
  CHECK(build.backend.puts == puts);
  CHECK(build.backend.manifests == 1);
}

TEST_CASE("what the build has seen there is not asked for again if it has all") {
  Built build;
  build.run();
  const std::string seen = build.backend.body;
  build.backend.manifest_error = ErrorCode::network;
  const CacheExportReport report =
      export_cache(build.spec, build.backend, build.content, build.packer, build.context, seen);
  CHECK(report.unchanged);
  CHECK(report.records == 2);
  CHECK(build.backend.manifests == 1);
  build.backend.manifest_error.reset();
  build.spec.all_steps = true;  // more than was seen: merged with what is there now
  CHECK_FALSE(export_cache(build.spec, build.backend, build.content, build.packer, build.context, seen).unchanged);
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b", "RUN side"});
}

TEST_CASE("steps of other builds stay for keep_days") {
  Built build;
  build.content.image_chains.push_back(build.content.steps[2].record.chain);
  build.run();
  RemoteIndex index = build.backend.index();
  index.records[2].used_day -= 20;  // as if it had been exported long ago
  oci::Manifest manifest = std::get<oci::Manifest>(oci::parse_manifest(build.backend.body));
  manifest.config = oci::put_blob(build.store.blobs(), to_json(index), std::string(cache::kRemoteIndexType));
  build.backend.put_blob(manifest.config, {});
  build.backend.put_manifest(oci::to_json(manifest));
  build.content.image_chains.pop_back();
  build.content.steps.pop_back();

  const std::string before = build.backend.body;
  build.spec.keep_days = 30;
  build.run();
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b", "RUN side"});
  build.backend.body = before;
  build.spec.keep_days = 14;
  build.run();
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b"});
  CHECK(build.backend.index().layers.size() == 2);
}

TEST_CASE("steps that another build writes meanwhile are kept") {
  Built build, other;
  other.add("RUN other", {});
  other.spec.all_steps = true;
  other.run();
  build.backend.blobs = other.backend.blobs;
  build.backend.meanwhile = other.backend.body;
  build.run();
  CHECK(build.backend.manifests == 1);
  CHECK(names(build.backend.index()) == std::vector<std::string>{"RUN a", "RUN b", "RUN side", "RUN other"});
}

TEST_CASE("where blobs do not stay by themselves, each is asked for by each export") {
  Built build;
  build.backend.keeps = false;
  build.run();
  const unsigned puts = build.backend.puts;
  CHECK_FALSE(build.run().unchanged);
  CHECK(build.backend.puts == 2 * puts);
  CHECK(build.backend.manifests == 2);
}

TEST_CASE("what is not a cache there is replaced") {
  Built build;
  oci::Manifest image;
  image.config = oci::put_blob(build.store.blobs(), "{}", std::string(oci::media_type::kConfig));
  for (const std::string& body : {oci::to_json(image), std::string("no JSON"), oci::to_json(oci::Index{})}) {
    build.backend.body = body;
    CHECK(build.run().records == 2);
    CHECK(build.backend.index().records.size() == 2);
  }
  build.backend.manifest_error = ErrorCode::network;
  CHECK(build.run().records == 2);
}

TEST_CASE("a damaged index there is as good as none") {
  Built build;
  build.run();
  const Digest config = std::get<oci::Manifest>(oci::parse_manifest(build.backend.body)).config.digest;
  build.backend.blobs[config].resize(20);
  CHECK_FALSE(build.run().unchanged);
  CHECK(build.backend.index().records.size() == 2);
}

TEST_CASE("blobs that the place has lost although its manifest names them are put again") {
  Built build;
  build.run();
  const Digest lost = build.backend.index().layers[0].blob.digest;
  build.backend.blobs.erase(lost);
  build.spec.all_steps = true;
  build.run();
  CHECK(build.backend.blobs.contains(lost));
  CHECK(build.backend.index().records.size() == 3);
}

TEST_CASE("a failure that another try cannot fix is thrown at once") {
  Built build;
  build.run();
  build.spec.all_steps = true;
  build.backend.put_error = ErrorCode::denied;
  const unsigned puts = build.backend.puts;
  CHECK(code_of([&] { build.run(); }) == ErrorCode::denied);
  CHECK(build.backend.puts == puts);
  build.backend.manifest_error = ErrorCode::cancelled;
  CHECK(code_of([&] { build.run(); }) == ErrorCode::cancelled);
}

TEST_CASE("a failed upload is thrown, and no manifest names what is not there") {
  Built build;
  build.backend.put_error = ErrorCode::network;
  CHECK(code_of([&] { build.run(); }) == ErrorCode::network);
  CHECK(build.backend.manifests == 0);
}

TEST_CASE("a build without layers gives a cache with its records") {
  Built build;
  build.content.steps = {{digest_of("definition"), record_of(digest_of("content"), {}, "FROM scratch")}};
  build.content.image_chains = {Digest{}};
  CHECK(build.run().records == 1);
  CHECK(build.backend.index().records[0].chain == -1);
  CHECK(build.backend.index().layers.empty());
  CHECK(std::get<oci::Manifest>(oci::parse_manifest(build.backend.body)).layers.size() == 1);
}

/// A layer that is known only by where it lies, and its chain.
Chain add_lazy(cache::Store& store, const std::string& from, const std::string& content) {
  cache::Layer layer;
  layer.id = layer.diff_id = digest_of("diff id of " + content);
  layer.blob = oci::Descriptor{
      .media_type = std::string(oci::media_type::kLayerGzip), .digest = digest_of(content), .size = content.size()};
  layer.fetch_from = from;
  store.add_lazy_layer(layer);
  return store.extend({}, layer.id, {});
}

TEST_CASE("layers of a base stay where they are") {
  Built build;
  const Chain base = add_lazy(build.store, "docker-image://hub.test/base:1", "base");
  build.content.steps.clear();
  build.content.image_chains = {build.add("RUN on base", base.id).id};
  build.run();
  const RemoteIndex index = build.backend.index();
  REQUIRE(index.layers.size() == 2);
  CHECK(index.layers[0].origin == "docker-image://hub.test/base:1");
  CHECK(index.layers[1].origin.empty());
  CHECK_FALSE(build.backend.blobs.contains(digest_of("base")));
  CHECK(build.backend.offered_from.empty());
}

TEST_CASE("a layer of another cache is offered first, and fetched if that does not help") {
  Built build;
  build.content.steps.clear();
  build.content.image_chains = {
      build.add("RUN far", add_lazy(build.store, "cache+docker-image://far.test/cache:main", "far").id).id};
  SUBCASE("taken over") {
    build.backend.takes_offers = true;
    build.run();
    CHECK(build.backend.offered_from.size() == 1);
  }
  SUBCASE("fetched") {
    unsigned fetched = 0;
    build.context.fetch_blob = [&](const cache::Layer&, oci::BlobStore&) {
      ++fetched;
      oci::put_blob(build.store.blobs(), "far", std::string(oci::media_type::kLayerGzip));
    };
    build.run();
    CHECK(fetched == 1);
  }
  CHECK(build.backend.index().layers[0].origin.empty());
  CHECK(build.backend.blobs.contains(digest_of("far")));
}

TEST_CASE("blobs may be mounted from where the image was pushed") {
  Built build;
  build.content.pushed = oci::parse_reference("hub.test/app:1");
  build.run();
  CHECK(std::count(build.backend.mounted_from.begin(), build.backend.mounted_from.end(), "hub.test/app:1") == 2);
}

TEST_CASE("cache mounts go along as asked for, and what is left out is said") {
  Built build;
  for (const std::string id : {"apt", "pip"})
    write_file(build.store.try_cache_mount(id, {}, 0, 0)->dir.get(), "file", "content of " + id);
  SUBCASE("one") {
    build.spec.mounts = {"pip"};
    CHECK(build.run().notes.empty());
    REQUIRE(build.backend.index().mounts.size() == 1);
    CHECK(build.backend.index().mounts[0].id == "pip");
    CHECK(build.backend.blobs.contains(build.backend.index().mounts[0].blob.digest));
  }
  SUBCASE("all") {
    build.spec.mounts = {"*"};
    build.run();
    CHECK(build.backend.index().mounts.size() == 2);
  }
  SUBCASE("unknown") {
    build.spec.mounts = {"npm"};
    CHECK(build.run().notes == std::vector<std::string>{"no cache mount has the id npm"});
  }
  SUBCASE("too large") {
    build.spec.mounts = {"*"};
    build.spec.mount_bytes = 1;
    const CacheExportReport report = build.run();
    CHECK(report.notes.size() == 2);
    CHECK(report.notes[0].starts_with("cache mount apt is not exported: it has "));
    CHECK(build.backend.index().mounts.empty());
  }
}

TEST_CASE("an image's own cache names its layers by diff id, and does not change by the day") {
  Built build;
  const Digest image = build.content.image_chains[0];
  const std::string text = inline_cache(build.content, image, build.packer, build.store);
  const RemoteIndex index = cache::parse_remote_index(text);
  CHECK(names(index) == std::vector<std::string>{"RUN a", "RUN b"});
  CHECK(index.records[0].used_day == 0);
  CHECK(index.records[0].parts.empty());
  REQUIRE(index.layers.size() == 2);
  CHECK(index.layers[0].blob == oci::Descriptor{});
  CHECK(index.layers[0].diff_id == build.store.layer(build.store.chain_layers(image)[0])->diff_id);
  CHECK(inline_cache(build.content, image, build.packer, build.store) == text);
}

TEST_CASE("a chain that is gone meanwhile is missing content, not a wrong cache") {
  Built build;
  build.content.steps[0].record.chain = digest_of("no chain");
  CHECK(finds_missing_content([&] { build.run(); }));
  CHECK(build.backend.manifests == 0);
}

}  // namespace
}  // namespace cbuild::exporter
