// SPDX-License-Identifier: Apache-2.0
// A hundred builds, each with a step that no other one has, export to one cache of each type: it stays within max-size,
// and so does its place, where blobs can be removed.
#include <doctest/doctest.h>

#include <algorithm>

#include "cache/remote/backend_sites.h"
#include "cache/remote/remote_index.h"
#include "cache/test_support.h"
#include "exporter/cache_export.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

using namespace cache::testing;

constexpr std::uint64_t kMaxSize = 20'000;
constexpr int kBuilds = 100;

/// About 2 kB that compression does not make smaller by much.
std::string noise(const std::string& seed) {
  std::string out;
  for (int i = 0; i < 32; ++i) out += sha256(cat(seed, i)).hex();
  return out;
}

template <typename Site>
void pass_half_a_day(Site& site) {
  if constexpr (requires { site.service.now_s; }) site.service.now_s += 43'200;
}

/// What lies in the place at most: the blobs within the bound, and those that are not removed yet.
template <typename Site>
std::uint64_t stored_in(const Site& site) {
  if constexpr (requires { site.stored(); }) return site.stored();
  return 0;
}

struct Builds {
  TempStore temp;
  cache::Store store{temp.options()};
  cache::Packer packer{store, {}};
  ExportContext context{store,   nullptr, [](const cache::Layer&, oci::BlobStore&) { FAIL("fetched"); },
                        nullptr, 0,       nullptr};

  CacheContent build(const std::string& step) {
    CacheContent content;
    const cache::Chain chain = cache::testing::add_file_layer(store, {}, step, noise(step));
    cache::Record record = record_of(digest_of("content " + step), chain.id, step);
    content.steps = {{digest_of("definition " + step), record}};
    content.image_chains = {chain.id};
    return content;
  }
};

std::vector<std::string> steps_in(cache::CacheBackend& backend, std::uint64_t& named) {
  const auto manifest = std::get<oci::Manifest>(oci::parse_manifest(backend.manifest(std::nullopt)));
  named = 0;
  for (const oci::Descriptor& layer : manifest.layers) named += layer.size;
  std::vector<std::string> out;
  for (const auto& record : cache::parse_remote_index(backend.document(manifest.config)).records)
    out.push_back(record.step_name);
  return out;
}

}  // namespace

TEST_CASE_TEMPLATE("a cache stays bounded over a hundred builds", Site, LocalSite, RegistrySite, S3Site, AzureSite) {
  Site site;
  Builds builds;
  const cache::CacheSpec spec = cache::parse_cache_to(cat(site.to(), ",max-size=", kMaxSize));
  std::uint64_t most_named = 0, most_stored = 0;
  std::vector<std::string> steps;
  for (int i = 0; i < kBuilds; ++i) {
    const auto backend = cache::open_cache_export(spec, site.services(builds.store));
    const CacheContent content = builds.build(cat("RUN ", i));
    CHECK(export_cache(spec, *backend, content, builds.packer, builds.context).notes.empty());
    std::uint64_t named = 0;
    steps = steps_in(*backend, named);
    CHECK(std::find(steps.begin(), steps.end(), cat("RUN ", i)) != steps.end());
    most_named = std::max(most_named, named);
    most_stored = std::max(most_stored, stored_in(site));
    pass_half_a_day(site);
  }
  CHECK(most_named <= kMaxSize);
  CHECK(most_named > kMaxSize / 2);
  CHECK(most_stored <= 5 * kMaxSize);  // with two days of what nobody names, where that has to wait
  for (int i = kBuilds - 3; i < kBuilds; ++i)
    CHECK(std::find(steps.begin(), steps.end(), cat("RUN ", i)) != steps.end());
}

TEST_CASE("a build that needs more than the bound is exported whole, with a note") {
  LocalSite site;
  Builds builds;
  const cache::CacheSpec spec = cache::parse_cache_to(site.to() + ",max-size=100");
  const auto backend = cache::open_cache_export(spec, site.services(builds.store));
  const auto report = export_cache(spec, *backend, builds.build("RUN x"), builds.packer, builds.context);
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("more than max-size") != std::string::npos);
  std::uint64_t named = 0;
  CHECK(steps_in(*backend, named) == std::vector<std::string>{"RUN x"});
}

}  // namespace cbuild::exporter
