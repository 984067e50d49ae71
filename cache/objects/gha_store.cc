// SPDX-License-Identifier: Apache-2.0
// The cache service of GitHub Actions: three calls of twirp (JSON over POST) hand out signed URLs of Azure's blob
// storage, where the content is read and written without an account. An entry is reserved, uploaded and finalized; from
// then on it cannot be changed. A key is looked up exactly, else as the beginning of a key: the newest such entry.
#include "cache/objects/gha_store.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cache/objects/azure_upload.h"
#include "cache/objects/object_http.h"

namespace cbuild::cache {
namespace {

using GhaJson = nlohmann::json;

constexpr std::string_view kService = "/twirp/github.actions.results.api.v1.CacheService/";
constexpr std::size_t kMostGhaAnswer = 1u << 20;
constexpr unsigned kMostGhaPages = 1000, kGhaPerPage = 100;
constexpr int kMostGhaPolls = 8, kMostGhaSkips = 5;

/// A part of the identity of each entry next to its key: no other program's entries have this one.
std::string entry_version() { return sha256("cbuild cache 1").hex(); }

/// The entries of the repository, as GitHub's REST API lists them.
class GhaListing {
 public:
  /// The arguments must outlive it.
  GhaListing(const GhaPlace& place, ObjectHttp& http) : place_(place), http_(http) {}

  /// By key; asked for once. Null without an account for the API, or where it fails.
  const std::map<std::string, std::uint64_t>* sizes() {
    if (place_.repository.empty() || place_.github_token.empty()) return nullptr;
    std::call_once(listed_once_, [this] {
      try {
        list_entries();
        is_listed_ = true;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        http_.warn_once(cat("the entries are asked for one by one: ", error.what()));
      }
    });
    return is_listed_ ? &listed_ : nullptr;
  }

 private:
  void list_entries() {
    for (unsigned page = 1; page <= kMostGhaPages; ++page) {
      const http::Response response = http_.exchange("list the entries", [&] {
        http::Request request;
        request.method = "GET";
        request.url = place_.api;
        while (request.url.path.ends_with('/')) request.url.path.pop_back();
        request.url.path += cat("/repos/", place_.repository, "/actions/caches");
        http::add_query(request.url, "per_page", std::to_string(kGhaPerPage));
        http::add_query(request.url, "page", std::to_string(page));
        http::add_query(request.url, "key", kGhaBlobPrefix);
        request.headers = {{"Authorization", "Bearer " + place_.github_token},
                           {"Accept", "application/vnd.github+json"},
                           {"X-GitHub-Api-Version", "2022-11-28"}};
        request.limit = kMostGhaAnswer;
        return request;
      });
      if (add_page(GhaJson::parse(response.body, nullptr, false)) < kGhaPerPage) return;
    }
  }

  /// The number of entries on the page.
  std::size_t add_page(const GhaJson& page) {
    const auto list = page.is_object() ? page.find("actions_caches") : page.end();
    if (list == page.end() || !list->is_array())
      throw Error(ErrorCode::network, "gha: the list of entries is not a list");
    for (const GhaJson& entry : *list) {
      if (!entry.is_object()) continue;
      const auto key = entry.find("key"), version = entry.find("version"), size = entry.find("size_in_bytes");
      if (key == entry.end() || version == entry.end() || size == entry.end()) continue;
      if (key->is_string() && *version == entry_version() && size->is_number_unsigned())
        listed_[key->get<std::string>()] = size->get<std::uint64_t>();
    }
    return list->size();
  }

  const GhaPlace& place_;
  ObjectHttp& http_;
  std::once_flag listed_once_;
  bool is_listed_ = false;
  std::map<std::string, std::uint64_t> listed_;
};

class GhaStore final : public ObjectStore {
 public:
  GhaStore(GhaPlace place, const ObjectOptions& options)
      : place_(std::move(place)), http_("gha", options), delay_(options.retry_delay), listing_(place_, http_) {
    for (const std::string& secret : {place_.token, place_.github_token})
      if (!secret.empty()) http_.secrets().add(secret);
  }

  std::optional<Object> get(const std::string& name, std::size_t limit) override {
    const auto found = look_up(name + "#");
    if (!found) return std::nullopt;
    const http::Response response = at_url("read " + name, "GET", found->url, limit);
    if (!response.ok()) return std::nullopt;
    return Object{response.body, std::to_string(number_of(found->key, name))};
  }

  std::optional<Status> status(const std::string& name) override {
    if (const auto* sizes = listing_.sizes()) {
      const auto known = sizes->find(name);
      return known == sizes->end() ? std::nullopt : std::optional(Status{known->second, std::nullopt});
    }
    const auto found = look_up(name);
    if (!found || found->key != name) return std::nullopt;
    const http::Response response = at_url("look at " + name, "HEAD", found->url, kMostGhaAnswer);
    return response.ok() ? std::optional(Status{status_of(response).size, std::nullopt}) : std::nullopt;
  }

  void fetch(const std::string& name, const std::function<std::unique_ptr<BlobWriter>()>& make,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    const auto found = look_up(name);
    if (!found || found->key != name) throw Error(ErrorCode::not_found, cat("gha: there is no ", name));
    http_.download(found->url, make, progress);
  }

  void put(const std::string& name, const Content& content) override {
    const auto url = reserve(name);
    if (!url) return;
    put_azure_blob(content, place_.part_bytes, http_.options().parallel,
                   [&](const AzurePut& part) { put_part(name, *url, part); });
    finalize(name, content.size);
  }

  bool put_if(const std::string& name, const std::string& content, const std::string& version) override {
    const std::int64_t before = parse_int(version).value_or(0);
    for (int skipped = 0; skipped < kMostGhaSkips; ++skipped) {
      const std::string key = cat(name, "#", before + 1 + skipped);
      if (const auto url = reserve(key)) {
        put_part(key, *url, {.headers = {{"x-ms-blob-type", "BlockBlob"}}, .body = content});
        finalize(key, content.size());
        return true;
      }
      if (is_written_meanwhile(name, before)) return false;
    }
    throw Error(ErrorCode::network, cat("gha: ", name, " is reserved by jobs that do not write it"));
  }

  /// Reading an entry is what keeps it.
  void touch(const std::string&, std::uint64_t) override {}

 private:
  struct Entry {
    std::string key;
    http::Url url;
  };

  http::Url signed_url(const GhaJson& answer, const char* member) {
    const auto text = answer.find(member);
    const auto url =
        text != answer.end() && text->is_string() ? http::parse_url(text->get<std::string>()) : std::nullopt;
    if (!url) throw Error(ErrorCode::network, cat("gha: the cache service gave no ", member));
    for (const std::string& pair : split(url->query, '&'))
      if (const std::size_t at = pair.find("sig="); at <= 1) http_.secrets().add(pair.substr(at + 4));
    return *url;
  }

  /// nullopt for an answer that means no: a conflict, a missing entry.
  std::optional<GhaJson> call(const std::string& doing, std::string_view method, const GhaJson& body) {
    const http::Response response = http_.exchange(
        doing,
        [&] {
          http::Request request;
          request.method = "POST";
          request.url = place_.service;
          while (request.url.path.ends_with('/')) request.url.path.pop_back();
          request.url.path += cat(kService, method);
          request.headers = {{"Authorization", "Bearer " + place_.token}, {"Content-Type", "application/json"}};
          request.body = body.dump();
          request.limit = kMostGhaAnswer;
          return request;
        },
        {404, 409});
    if (!response.ok()) return std::nullopt;
    GhaJson answer = GhaJson::parse(response.body, nullptr, false);
    if (!answer.is_object()) throw Error(ErrorCode::network, cat("gha: ", doing, ": the answer is not a JSON object"));
    const auto ok = answer.find("ok");
    return ok != answer.end() && *ok == true ? std::optional(std::move(answer)) : std::nullopt;
  }

  std::optional<Entry> look_up(const std::string& key) {
    const auto answer = call("look up " + key, "GetCacheEntryDownloadURL",
                             {{"key", key}, {"restore_keys", {key}}, {"version", entry_version()}});
    if (!answer) return std::nullopt;
    const auto matched = answer->find("matched_key");
    return Entry{matched != answer->end() && matched->is_string() ? matched->get<std::string>() : key,
                 signed_url(*answer, "signed_download_url")};
  }

  /// The number behind "NAME#"; 0 for another key.
  static std::int64_t number_of(const std::string& key, const std::string& name) {
    return key.starts_with(name + "#") ? parse_int(key.substr(name.size() + 1)).value_or(0) : 0;
  }

  std::optional<http::Url> reserve(const std::string& key) {
    const auto answer = call("reserve " + key, "CreateCacheEntry", {{"key", key}, {"version", entry_version()}});
    return answer ? std::optional(signed_url(*answer, "signed_upload_url")) : std::nullopt;
  }

  void finalize(const std::string& key, std::uint64_t size) {
    const GhaJson body{{"key", key}, {"size_bytes", size}, {"version", entry_version()}};
    if (!call("finalize " + key, "FinalizeCacheEntryUpload", body))
      throw Error(ErrorCode::network, cat("gha: the cache service does not finalize ", key));
  }

  /// Of somebody else's number: waits until it is there. One that never comes was left by a job that ended too early.
  bool is_written_meanwhile(const std::string& name, std::int64_t before) {
    for (int poll = 0; poll < kMostGhaPolls; ++poll) {
      if (poll > 0) http_.pause(2 * delay_);
      const auto found = look_up(name + "#");
      if (found && number_of(found->key, name) > before) return true;
    }
    return false;
  }

  http::Response at_url(const std::string& doing, const char* method, const http::Url& url, std::size_t limit) {
    return http_.exchange(doing,
                          [&] {
                            http::Request request;
                            request.method = method;
                            request.url = url;
                            request.limit = limit;
                            return request;
                          },
                          {404});
  }

  void put_part(const std::string& key, const http::Url& url, const AzurePut& part) {
    http_.exchange("write " + key, [&] {
      http::Request request;
      request.method = "PUT";
      request.url = url;
      if (!part.query.empty()) request.url.query += (url.query.empty() ? "?" : "&") + part.query;
      request.headers = part.headers;
      request.body = part.body;
      request.body_fd = part.file;
      request.body_offset = part.offset;
      request.body_size = part.size;
      request.limit = kMostGhaAnswer;
      return request;
    });
  }

  const GhaPlace place_;
  ObjectHttp http_;
  const std::chrono::milliseconds delay_;
  GhaListing listing_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_gha(GhaPlace place, const ObjectOptions& options) {
  return std::make_unique<GhaStore>(std::move(place), options);
}

}  // namespace cbuild::cache
