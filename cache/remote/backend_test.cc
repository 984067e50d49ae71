// SPDX-License-Identifier: Apache-2.0
// The conformance suite of CacheBackend: each case runs on every backend of the table that can be exported to.
#include "cache/remote/backend.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <mutex>
#include <set>

#include "base/process/threads.h"
#include "cache/cached_layers.h"
#include "cache/packer.h"
#include "cache/remote/backend_sites.h"
#include "cache/remote/read_cache.h"
#include "cache/remote/remote_cache.h"
#include "cache/test_support.h"
#include "oci/manifest.h"

namespace cbuild::cache {
namespace {

using namespace testing;

const oci::Platform kHere = *oci::parse_platform("linux/amd64");

/// One machine that exports to a site, and another one that imports from it.
template <typename Site>
struct Machines {
  Site site;
  TempStore far_place, near_place;
  Store far{far_place.options()}, near{near_place.options()};
  std::vector<std::string> reports;

  std::unique_ptr<CacheBackend> exporting() { return open_cache_export(parse_cache_to(site.to()), site.services(far)); }
  std::unique_ptr<CacheBackend> importing() {
    return open_cache_import(cache_imports(parse_cache_from(site.from())).front(), site.services(near));
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
    code_of([&] { backend->manifest(std::nullopt); });  // an export reads before it writes; the first finds nothing
    CHECK(backend->put_manifest(oci::to_json(manifest)));
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
    RemoteCache remote(near, {{backend->name(), [backend] { return read_cache(*backend, {kHere}); }}}, options);
    return remote.find(digest_of(step));
  }
  /// That the step is not found, with one report that begins with `kind`.
  void check_miss(const std::string& step, const std::string& kind) {
    CHECK_FALSE(find(step));
    REQUIRE(reports.size() == 1);
    CHECK_MESSAGE(reports[0].starts_with(cat(kind, ": cache ", exporting()->name(), " is not used: ")), reports[0]);
  }
};

}  // namespace

#define EACH_BACKEND LocalSite, RegistrySite, S3Site, AzureSite, GhaSite

TEST_CASE("every backend that can be exported to is in the suite") {
  std::set<std::string_view> types;
  for (const BackendType* type : backend_types()) {
    CHECK(find_backend_type(type->name) == type);
    if (type->open_export != nullptr) types.insert(type->name);
  }
  CHECK(types == std::set<std::string_view>{LocalSite::kType, RegistrySite::kType, S3Site::kType, AzureSite::kType,
                                            GhaSite::kType});
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

TEST_CASE("a registry: a manifest that somebody else has replaced since it was read is not written over") {
  Machines<RegistrySite> machines;
  oci::Manifest manifest = machines.put_cache("RUN x");
  const auto with = [&](const std::string& name) {
    manifest.annotations = {{name, "yes"}};
    return oci::to_json(manifest);
  };
  const auto one = machines.exporting(), two = machines.exporting();
  one->manifest(std::nullopt);
  two->manifest(std::nullopt);
  CHECK(one->put_manifest(with("one")));
  CHECK_FALSE(two->put_manifest(with("two")));
  CHECK(two->manifest(std::nullopt) == with("one"));
  CHECK(two->put_manifest(with("two")));
  CHECK(machines.importing()->manifest(std::nullopt) == with("two"));
}

TEST_CASE("a registry: of several that write at once none loses its results") {
  Machines<RegistrySite> machines;
  const oci::Manifest first = machines.put_cache("RUN x");
  constexpr std::size_t kWriters = 6;
  std::vector<std::unique_ptr<CacheBackend>> writers;
  for (std::size_t i = 0; i < kWriters; ++i) writers.push_back(machines.exporting());
  run_at_once(kWriters, kWriters, [&](std::size_t i) {
    for (int tries = 0; tries < 100; ++tries) {
      auto manifest = std::get<oci::Manifest>(oci::parse_manifest(writers[i]->manifest(std::nullopt)));
      manifest.annotations[cat("writer", i)] = "was here";
      if (writers[i]->put_manifest(oci::to_json(manifest))) return;
    }
    throw Error(ErrorCode::internal, "it never gets its turn");
  });
  const auto last = std::get<oci::Manifest>(oci::parse_manifest(machines.importing()->manifest(std::nullopt)));
  CHECK(last.annotations.size() == first.annotations.size() + kWriters);
}

TEST_CASE("an index that somebody else has replaced since it was read is not written over") {
  Machines<S3Site> machines;
  const std::string first = oci::to_json(machines.put_cache("RUN x"));
  const auto one = machines.exporting(), two = machines.exporting();
  CHECK(one->manifest(std::nullopt) == first);
  CHECK(two->manifest(std::nullopt) == first);
  CHECK(one->put_manifest("{1}"));
  CHECK_FALSE(two->put_manifest("{2}"));
  CHECK(two->manifest(std::nullopt) == "{1}");
  CHECK(two->put_manifest("{2}"));
  const auto fresh = machines.exporting();
  CHECK_FALSE(fresh->put_manifest("{3}"));  // it has not read any
  CHECK(machines.importing()->manifest(std::nullopt) == "{2}");
  CHECK(machines.site.service.violations.empty());
}

TEST_CASE("what another tag's export removed meanwhile is put again, and an index is not lost") {
  Machines<LocalSite> machines;
  const auto other = open_cache_export(parse_cache_to(replace_all(machines.site.to(), "tag=main", "tag=other")),
                                       machines.site.services(machines.far));
  const oci::Manifest first = machines.put_cache("RUN x");
  code_of([&] { other->manifest(std::nullopt); });
  CHECK(other->offer_blob(first.layers[0], std::nullopt));
  CHECK(other->offer_blob(first.config, std::nullopt));
  machines.put_cache("RUN y");  // removes both
  CHECK_FALSE(other->put_manifest(oci::to_json(first)));
  for (const oci::Descriptor& blob : {first.layers[0], first.config}) {
    CHECK_FALSE(other->offer_blob(blob, std::nullopt));
    other->put_blob(blob, std::nullopt);
  }
  CHECK(other->put_manifest(oci::to_json(first)));
  CHECK(machines.find("RUN y"));
  // The tag itself: of two exports on top of the same manifest one has to read again.
  const auto one = machines.exporting(), two = machines.exporting();
  const std::string body = one->manifest(std::nullopt);
  CHECK(two->manifest(std::nullopt) == body);
  CHECK(one->put_manifest(oci::to_json(first)));
  CHECK_FALSE(two->put_manifest(body));
  CHECK(two->manifest(std::nullopt) == oci::to_json(first));
}

TEST_CASE("blobs of a directory that no manifest names are removed after a day") {
  Machines<LocalSite> machines;
  machines.put_cache("RUN x");
  const auto backend = machines.exporting();
  const oci::Descriptor fresh = machines.put(*backend, "fresh", oci::media_type::kLayer);
  const oci::Descriptor old = machines.put(*backend, "old", oci::media_type::kLayer);
  const oci::Descriptor renewed = machines.put(*backend, "renewed", oci::media_type::kLayer);
  const timespec two_days_ago[2] = {{sys::now_ns() / 1'000'000'000 - 172'800, 0},
                                    {sys::now_ns() / 1'000'000'000 - 172'800, 0}};
  const UniqueFd blobs = sys::open_at(machines.site.dir.fd(), "cache/blobs/sha256", O_RDONLY | O_DIRECTORY);
  for (const std::string& name : sys::list_dir(blobs.get()))
    if (name != fresh.digest.hex()) REQUIRE(::utimensat(blobs.get(), name.c_str(), two_days_ago, 0) == 0);
  CHECK(backend->offer_blob(renewed, std::nullopt));
  backend->collect();
  CHECK(backend->offer_blob(fresh, std::nullopt));
  CHECK(backend->offer_blob(renewed, std::nullopt));
  CHECK_FALSE(backend->offer_blob(old, std::nullopt));
  CHECK(machines.find("RUN x"));
}

TEST_CASE_TEMPLATE("objects that no manifest names are removed when no export may be about to name them", Site, S3Site,
                   AzureSite) {
  constexpr std::int64_t kDay_s = 86'400;
  Machines<Site> machines;
  machines.site.service.page = 2;
  machines.put_cache("RUN x");
  const auto backend = machines.exporting();
  const oci::Descriptor old = machines.put(*backend, "old", oci::media_type::kLayer);
  const oci::Descriptor renewed = machines.put(*backend, "renewed", oci::media_type::kLayer);
  const oci::Descriptor foreign = machines.put(*backend, "foreign", oci::media_type::kLayer);
  code_of([&] { backend->manifest(std::nullopt); });
  machines.site.set_foreign_manifest(cat(R"({"layers":[{"blob":")", foreign.digest.str(), "\"}]}"));
  machines.site.service.now_s += 3 * kDay_s;
  const oci::Descriptor fresh = machines.put(*backend, "fresh", oci::media_type::kLayer);
  CHECK(backend->offer_blob(renewed, std::nullopt));
  backend->collect();
  CHECK_FALSE(backend->offer_blob(old, std::nullopt));
  for (const oci::Descriptor& blob : {renewed, foreign, fresh}) CHECK(backend->offer_blob(blob, std::nullopt));
  CHECK(machines.find("RUN x"));
  // With prefixes of its own, other manifests may name the blobs.
  const auto own = open_cache_export(parse_cache_to(machines.site.to() + ",manifests_prefix=m/"),
                                     machines.site.services(machines.far));
  machines.site.service.now_s += 30 * kDay_s;
  own->collect();
  CHECK(machines.find("RUN x"));
}

TEST_CASE("a cache of several names is read by each of them") {
  Machines<S3Site> machines;
  const auto spec = parse_cache_to(replace_all(machines.site.to(), "name=main", "name=main;branch"));
  const auto backend = open_cache_export(spec, machines.site.services(machines.far));
  CHECK(code_of([&] { backend->manifest(std::nullopt); }) == ErrorCode::not_found);
  machines.site.service.objects["/bucket/team/manifests/branch"] = "{old}";
  CHECK(backend->put_manifest("{new}"));
  CHECK(machines.site.service.objects.at("/bucket/team/manifests/branch") == "{new}");
  CHECK(machines.site.service.objects.at("/bucket/team/manifests/main") == "{new}");
}

TEST_CASE("a layer is fetched from a bucket, verified") {
  Machines<S3Site> machines;
  const oci::Descriptor blob = machines.put(*machines.exporting(), "content", oci::media_type::kLayer);
  const auto importing = machines.importing();
  for (const char* wrong : {"contenT", "conten", "content and more", ""}) {
    machines.site.set_blob(blob.digest, wrong);
    CHECK(code_of([&] { importing->fetch_blob(blob, machines.near.blobs(), nullptr); }) == ErrorCode::corrupt);
    CHECK_FALSE(machines.near.blobs().size(blob.digest));
  }
  machines.site.set_blob(blob.digest, "content");
  importing->fetch_blob(blob, machines.near.blobs(), nullptr);
  CHECK(machines.near.blobs().size(blob.digest) == 7);
}

TEST_CASE("the flag of a bucket") {
  const std::string least = "type=s3,bucket=b,region=r";
  CHECK(parse_cache_to(least).attribute("bucket") == "b");
  for (const char* wrong : {",use_path_style=maybe", ",endpoint_url=x", ",upload_parallelism=0", ",touch_refresh=x",
                            ",retry_mode=x", ",access_key_id=x", ",bucket=a/b", ",retry_max_attempts=-1"})
    CHECK(code_of([&] { parse_cache_to(least + wrong); }) == ErrorCode::usage);
}

}  // namespace cbuild::cache
