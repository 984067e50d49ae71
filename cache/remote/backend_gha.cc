// SPDX-License-Identifier: Apache-2.0
// type=gha, a row of backend.h: the cache service of GitHub Actions. Keys and variables are those of BuildKit and
// buildx; the documents are not, so the entries have other names. A job reads the index of each scope that its token
// names (its own branch, the base of its pull request, the default branch), and writes that of its own.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/process/environment.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "cache/objects/gha_store.h"
#include "cache/objects/gha_token.h"
#include "cache/remote/backend.h"
#include "cache/remote/object_backend.h"

namespace cbuild::cache {
namespace {

constexpr char kIndexPrefix[] = "cbuild-index-";
constexpr char kRefOfToken[] = "ref";    ///< set by gha_imports()
constexpr std::size_t kMostScope = 300;  ///< the service takes keys of 512 bytes

void check_gha_url(const CacheFlag& flag, const std::string& value) {
  if (!http::parse_url(value)) flag.refuse(cat("'", value, "' is not the URL of a cache service"));
}
void check_gha_scope(const CacheFlag& flag, const std::string& value) {
  if (value.find(',') != std::string::npos || value.size() > kMostScope) flag.refuse("invalid scope");
}
void check_gha_version(const CacheFlag& flag, const std::string& value) { flag.number("version", value, 2); }
void check_gha_timeout(const CacheFlag& flag, const std::string& value) {
  if (!parse_duration_ns(value)) flag.refuse(cat("timeout '", value, "' is not a time"), "for example 10m");
}

constexpr BackendKey kGhaKeys[] = {{"url", std::nullopt, check_gha_url},
                                   {"url_v2", std::nullopt, check_gha_url},
                                   {"token"},
                                   {"scope", std::nullopt, check_gha_scope},
                                   {"timeout", CacheUse::to, check_gha_timeout},
                                   {"repository"},
                                   {"ghtoken"},
                                   {"version", std::nullopt, check_gha_version}};

std::string token_of(const CacheSpec& spec) { return spec.attribute_or("token", {"ACTIONS_RUNTIME_TOKEN"}); }

/// The service of version 2; empty if there is none. Version 1 is an address in `url` alone, of another host.
std::string service_of(const CacheSpec& spec) {
  if (spec.attribute("version") == "1") return {};
  if (const std::string url = spec.attribute_or("url_v2", {"ACTIONS_RESULTS_URL"}); !url.empty()) return url;
  const std::string url = spec.attribute("url");
  const bool is_v2 = spec.attribute("version") == "2" || url.find("results-receiver.actions.") != std::string::npos;
  return is_v2 ? url : std::string();
}

std::string gha_left_out(const CacheSpec& spec) {
  if (token_of(spec).empty())
    return "the cache of type=gha is left out: this is not a job of GitHub Actions (ACTIONS_RUNTIME_TOKEN is not set)";
  if (service_of(spec).empty())
    return "the cache of type=gha is left out: there is no cache service of version 2 (ACTIONS_RESULTS_URL is not set)";
  return {};
}

void parse_gha(CacheSpec& spec, const CacheFlag& flag) {
  for (const char* key : {"url", "url_v2"})
    if (const std::string url = spec.attribute(key); !url.empty()) check_gha_url(flag, url);
  if (spec.attribute("repository").empty() != spec.attribute("ghtoken").empty())
    flag.refuse("repository= and ghtoken= go together");
}

std::vector<GhaScope> scopes_of(const CacheSpec& spec) {
  return gha_scopes(token_of(spec), sys::now_ns() / 1'000'000'000);
}

std::vector<CacheSpec> gha_imports(const CacheSpec& spec) {
  std::vector<CacheSpec> out;
  for (const GhaScope& scope : scopes_of(spec)) {
    out.push_back(spec);
    out.back().attributes[kRefOfToken] = scope.ref;
  }
  return out;
}

/// Where an export goes: the last scope that the token may write, as BuildKit has it.
std::string written_ref(const CacheSpec& spec) {
  std::string out;
  for (const GhaScope& scope : scopes_of(spec))
    if (scope.writable) out = scope.ref;
  if (out.empty()) throw Error(ErrorCode::denied, "gha: the token of GitHub Actions may not write caches");
  return out;
}

std::unique_ptr<CacheBackend> open_gha_cache(const CacheSpec& spec, const std::string& ref,
                                             const BackendServices& services) {
  GhaPlace place;
  const auto url = http::parse_url(service_of(spec));
  if (!url) throw Error(ErrorCode::usage, "type=gha: ACTIONS_RESULTS_URL is not a URL");
  place.service = *url;
  place.token = token_of(spec);
  place.repository = spec.attribute("repository");
  place.github_token = spec.attribute("ghtoken");
  const std::string api = environment_value("GITHUB_API_URL");
  const auto api_url = http::parse_url(api.empty() ? "https://api.github.com" : api);
  if (!api_url) throw Error(ErrorCode::usage, "GITHUB_API_URL is not a URL");
  place.api = *api_url;
  const std::string scope = spec.attribute("scope", "buildkit");
  ObjectNames names;
  names.shown = cat("gha ", scope, " ", ref);
  names.locator = cat("gha://", url->authority());
  names.blobs = kGhaBlobPrefix;
  names.manifests = kIndexPrefix;
  names.names = {cat(scope, "-1-", sha256(ref).hex().substr(0, 8))};
  names.renews_manifest = false;  // reading it does
  ObjectOptions options = services.objects;
  if (const auto timeout = parse_duration_ns(spec.attribute("timeout")))
    options.limits.answer = std::chrono::milliseconds(std::max<std::int64_t>(*timeout / 1'000'000, 1));
  return object_backend(open_gha(std::move(place), options), std::move(names), services.store);
}

std::unique_ptr<CacheBackend> open_gha_import(const CacheSpec& spec, const BackendServices& services) {
  return open_gha_cache(spec, spec.attribute(kRefOfToken), services);
}

std::unique_ptr<CacheBackend> open_gha_export(const CacheSpec& spec, const BackendServices& services) {
  return open_gha_cache(spec, written_ref(spec), services);
}

}  // namespace

const BackendType kGhaBackend = {.name = "gha",
                                 .keys = kGhaKeys,
                                 .parse = parse_gha,
                                 .open_import = open_gha_import,
                                 .open_export = open_gha_export,
                                 .fetches_blobs = true,
                                 .left_out = gha_left_out,
                                 .imports = gha_imports};

}  // namespace cbuild::cache
