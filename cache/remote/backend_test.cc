// SPDX-License-Identifier: Apache-2.0
// The conformance suite of CacheBackend: each case runs on every backend of the table that can be exported to.
#include "cache/remote/backend.h"

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <set>

#include "base/threads.h"
#include "cache/cached_layers.h"
#include "cache/packer.h"
#include "cache/remote/read_cache.h"
#include "cache/remote/remote_cache.h"
#include "cache/test_support.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::cache {
namespace {

using namespace testing;

const oci::Platform kHere = *oci::parse_platform("linux/amd64");

/// A directory, and how it is damaged from outside.
struct LocalSite {
  static constexpr std::string_view kType = "local";
  TempDir dir = TempDir::in_tmp("backend-test-");
  const std::string path = dir.path() + "/cache";

  std::string to() const { return cat("type=local,tag=main,dest=", path); }
  std::string from() const { return cat("type=local,tag=main,src=", path); }
  BackendServices services(Store& store) { return {store, nullptr}; }
  void set_blob(const Digest& digest, const std::string& content) {
    sys::write_file_at(dir.fd(), "cache/blobs/sha256/" + digest.hex(), content);
  }
  void remove_blob(const Digest& digest) { REQUIRE(::unlink(cat(path, "/blobs/sha256/", digest.hex()).c_str()) == 0); }
  void set_manifest(const std::string& body) {
    oci::ImageLayout layout = oci::ImageLayout::create(path);
    oci::Index index;
    index.manifests = {oci::put_blob(layout.blobs(), body, std::string(oci::media_type::kManifest))};
    index.manifests[0].annotations["org.opencontainers.image.ref.name"] = "main";
    layout.write_index(index);
  }
};

/// A registry, likewise.
struct RegistrySite {
  static constexpr std::string_view kType = "registry";
  static constexpr char kRepository[] = "team/cache";
  oci::registry::ClientFixture fixture;
  oci::registry::FakeRegistry registry;

  std::string reference() const { return registry.reference(cat(kRepository, ":main")).str(); }
  std::string to() const { return cat("type=registry,ref=", reference()); }
  std::string from() const { return to(); }
  BackendServices services(Store& store) {
    return {store, [this]() -> oci::registry::Client& { return fixture.client(); }};
  }
  void set_blob(const Digest& digest, const std::string& content) {
    registry.blobs.at(cat(kRepository, "@", digest.str())) = content;
  }
  void remove_blob(const Digest& digest) { REQUIRE(registry.blobs.erase(cat(kRepository, "@", digest.str())) == 1); }
  void set_manifest(const std::string& body) { registry.add_manifest(kRepository, "main", body); }
};

/// One machine that exports to a site, and another one that imports from it.
template <typename Site>
struct Machines {
  Site site;
  TempStore far_place, near_place;
  Store far{far_place.options()}, near{near_place.options()};
  std::vector<std::string> reports;

  std::unique_ptr<CacheBackend> exporting() { return open_cache_export(parse_cache_to(site.to()), site.services(far)); }
  std::unique_ptr<CacheBackend> importing() {
    return open_cache_import(parse_cache_from(site.from()), site.services(near));
  }
  oci::Descriptor put(CacheBackend& backend, std::string_view content, std::string_view type) {
    const oci::Descriptor blob = oci::put_blob(far.blobs(), content, std::string(type));
    backend.put_blob(blob, std::nullopt);
    return blob;
  }
  /// A cache with one step of the name.
  oci::Manifest put_cache(const std::string& step) {
    const auto backend = exporting();
    Packer packer(far, {});
    const Layer layer = packer.finish(add_file_layer(far, {}, step, step).id).back();
    RemoteIndexBuilder builder;
    const auto chain =
        builder.chain(-1, builder.layer({layer.diff_id, *layer.blob, {}, step, 1}), digest_of("identity"));
    builder.record({{digest_of(step)}, chain, step, 2, 3, 20000, {}});
    oci::Manifest manifest;
    manifest.layers = {*layer.blob};
    backend->put_blob(*layer.blob, std::nullopt);
    manifest.config = put(*backend, to_json(builder.take()), kRemoteIndexType);
    backend->put_manifest(oci::to_json(manifest));
    return manifest;
  }
  /// The result that a build finds for a step. The reports are complete when this returns.
  std::optional<Record> find(const std::string& step) {
    reports.clear();
    std::mutex mutex;  // guards reports
    RemoteCache::Options options;
    options.timeout = std::chrono::minutes(5);
    options.report = [&](Severity severity, const std::string& text) {
      const std::scoped_lock lock(mutex);
      reports.push_back(cat(severity == Severity::warning ? "warning: " : "note: ", text));
    };
    const std::shared_ptr<CacheBackend> backend = importing();
    RemoteCache remote(near, {{backend->name(), [backend] { return read_cache(*backend, kHere); }}}, options);
    return remote.find(digest_of(step));
  }
  /// That the step is not found, with one report that begins with `kind`.
  void check_miss(const std::string& step, const std::string& kind) {
    CHECK_FALSE(find(step));
    REQUIRE(reports.size() == 1);
    CHECK_MESSAGE(reports[0].starts_with(cat(kind, ": cache ", exporting()->name(), " is not used: ")), reports[0]);
  }
};

ErrorCode code_of(const std::function<void()>& action) { return oci::registry::code_of(action); }

}  // namespace

#define EACH_BACKEND LocalSite, RegistrySite

TEST_CASE("every backend that can be exported to is in the suite") {
  std::set<std::string_view> types;
  for (const BackendType* type : backend_types()) {
    CHECK(find_backend_type(type->name) == type);
    if (type->open_export != nullptr) types.insert(type->name);
  }
  CHECK(types == std::set<std::string_view>{LocalSite::kType, RegistrySite::kType});
  CHECK(find_backend_type("s4") == nullptr);
  CHECK(is_in_image(parse_cache_to("type=inline")));
}

TEST_CASE_TEMPLATE("exported results are found by an import", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const oci::Manifest manifest = machines.put_cache("RUN x");
  const auto record = machines.find("RUN x");
  REQUIRE(record);
  CHECK(machines.reports.empty());
  const std::vector<Digest> layers = machines.near.chain_layers(record->chain);
  REQUIRE(layers.size() == 1);
  const auto layer = machines.near.layer(layers[0]);
  CHECK(layer->blob == manifest.layers[0]);
  CHECK(layer->fetch_from == cat(kCacheOrigin, machines.exporting()->locator()));
  CHECK_FALSE(machines.find("RUN y"));
  CHECK(machines.reports.empty());
}

TEST_CASE_TEMPLATE("an export takes the place of the one before", Site, EACH_BACKEND) {
  Machines<Site> machines;
  machines.put_cache("RUN x");
  machines.put_cache("RUN y");
  CHECK(machines.find("RUN y"));
  CHECK_FALSE(machines.find("RUN x"));
}

TEST_CASE_TEMPLATE("a manifest is found by its name and by its digest, as it was put", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const std::string body = oci::to_json(machines.put_cache("RUN x"));
  const auto backend = machines.importing();
  CHECK(backend->manifest(std::nullopt) == body);
  CHECK(backend->manifest(sha256(body)) == body);
  CHECK(code_of([&] { backend->manifest(digest_of("another")); }) == ErrorCode::not_found);
}

TEST_CASE_TEMPLATE("where no cache is, there is a miss and a note", Site, EACH_BACKEND) {
  Machines<Site> machines;
  machines.check_miss("RUN x", "note");
}

TEST_CASE_TEMPLATE("a document that is gone is a miss", Site, EACH_BACKEND) {
  Machines<Site> machines;
  machines.site.remove_blob(machines.put_cache("RUN x").config.digest);
  machines.check_miss("RUN x", "note");
}

TEST_CASE_TEMPLATE("a damaged document is a miss with one warning", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const oci::Descriptor config = machines.put_cache("RUN x").config;
  const std::string whole = oci::read_blob(machines.far.blobs(), config.digest);
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& content : {whole.substr(0, whole.size() / 2), flipped, std::string(), whole + "x"}) {
    CAPTURE(content.size());
    machines.site.set_blob(config.digest, content);
    machines.check_miss("RUN x", "warning");
  }
  machines.site.set_blob(config.digest, whole);
  CHECK(machines.find("RUN x"));
}

TEST_CASE_TEMPLATE("a hostile manifest is a miss with one warning", Site, EACH_BACKEND) {
  Machines<Site> machines;
  oci::Manifest large = machines.put_cache("RUN x");
  large.config.size = kMaxRemoteIndex + 1;
  oci::Manifest not_json = large;
  not_json.config = machines.put(*machines.exporting(), "no JSON", kRemoteIndexType);
  oci::Manifest other_json = large;
  other_json.config = machines.put(*machines.exporting(), R"({"records":[{"chain":7}]})", kRemoteIndexType);
  for (const std::string& body :
       {std::string("{"), std::string("[]"), std::string(R"({"schemaVersion":2})"), std::string(100'000, '['),
        std::string(R"({"schemaVersion":2,"config":{"digest":"sha256:1","size":-1},"layers":[]})"), oci::to_json(large),
        oci::to_json(not_json), oci::to_json(other_json)}) {
    CAPTURE(body.substr(0, 200));
    machines.site.set_manifest(body);
    machines.check_miss("RUN x", "warning");
  }
}

TEST_CASE_TEMPLATE("a document is read only whole and of a bounded size", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const auto exporting = machines.exporting();
  oci::Descriptor blob = machines.put(*exporting, "document", kRemoteIndexType);
  exporting->put_manifest(oci::to_json(machines.put_cache("RUN x")));
  const auto importing = machines.importing();
  machines.site.set_blob(blob.digest, "documemt");
  CHECK(code_of([&] { importing->document(blob); }) == ErrorCode::corrupt);
  machines.site.set_blob(blob.digest, "document");
  CHECK(importing->document(blob) == "document");
  blob.size = kMaxRemoteIndex + 1;
  CHECK(code_of([&] { importing->document(blob); }) == ErrorCode::corrupt);
}

TEST_CASE_TEMPLATE("only blobs that the backend has are taken without their content", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const auto backend = machines.exporting();
  const oci::Descriptor blob = machines.put(*backend, "content", oci::media_type::kLayer);
  CHECK(backend->offer_blob(blob, std::nullopt));
  CHECK_FALSE(backend->offer_blob(oci::registry::descriptor_of("other"), std::nullopt));
  CHECK(code_of([&] { backend->put_blob(oci::registry::descriptor_of("missing"), std::nullopt); }) ==
        ErrorCode::not_found);
  backend->put_blob(blob, std::nullopt);  // again
}

TEST_CASE_TEMPLATE("several blobs are put at once", Site, EACH_BACKEND) {
  Machines<Site> machines;
  const auto backend = machines.exporting();
  std::vector<oci::Descriptor> blobs;
  for (int i = 0; i < 16; ++i)
    blobs.push_back(oci::put_blob(machines.far.blobs(), cat("content ", i % 12), std::string(kRemoteIndexType)));
  run_at_once(blobs.size(), 4, [&](std::size_t i) { backend->put_blob(blobs[i], std::nullopt); });
  backend->put_manifest(oci::to_json(machines.put_cache("RUN x")));
  const auto importing = machines.importing();
  for (int i = 0; i < 12; ++i) CHECK(importing->document(blobs[static_cast<std::size_t>(i)]) == cat("content ", i));
}

}  // namespace cbuild::cache
