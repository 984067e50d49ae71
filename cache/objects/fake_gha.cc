// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/fake_gha.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::cache {
namespace {

http::FakeResponse json(const nlohmann::json& body) { return {.body = body.dump()}; }

}  // namespace

std::string FakeGha::token(std::int64_t expires_s) {
  const nlohmann::json scopes = {{{"Scope", "refs/heads/topic"}, {"Permission", 3}},
                                 {{"Scope", "refs/heads/main"}, {"Permission", 1}}};
  const nlohmann::json claims = {{"ac", scopes.dump()}, {"exp", expires_s}, {"nbf", 1}};
  std::string middle = base64_encode(claims.dump());
  middle = replace_all(replace_all(replace_all(middle, "=", ""), "+", "-"), "/", "_");
  return cat("e30.", middle, ".x");
}

http::FakeResponse FakeGha::answer(const http::FakeRequest& r) {
  if (r.path.starts_with("/blob/")) return blob(r);
  if (r.path == "/repos/o/r/actions/caches") return list(r);
  if (r.header("authorization") != "Bearer " + token()) return {.status = 401};
  const nlohmann::json body = nlohmann::json::parse(r.body);
  const std::string method = r.path.substr(r.path.rfind('/') + 1), key = body["key"], version = body["version"];
  if (r.path != "/x/twirp/github.actions.results.api.v1.CacheService/" + method) return {.status = 404};
  if (method == "CreateCacheEntry") {
    for (const Entry& entry : entries)
      if (entry.key == key && entry.version == version)
        return {.status = 409, .body = R"({"code":"already_exists","msg":"cache entry exists"})"};
    entries.push_back({key, version, "", false});
    return json({{"ok", true}, {"signed_upload_url", url_of(entries.size() - 1)}});
  }
  if (method == "FinalizeCacheEntryUpload") {
    for (Entry& entry : entries)
      if (entry.key == key && entry.content.size() == body["size_bytes"]) entry.finished = true;
    return json({{"ok", true}, {"entry_id", "1"}});
  }
  std::size_t found = entries.size();
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].finished && entries[i].version == version && entries[i].key.starts_with(key)) found = i;
  if (found == entries.size()) return json({{"ok", false}});
  return json({{"ok", true}, {"signed_download_url", url_of(found)}, {"matched_key", entries[found].key}});
}

std::string FakeGha::url_of(std::size_t place) const { return server.url(cat("/blob/", place, "?sv=1&sig=secret")); }

http::FakeResponse FakeGha::blob(const http::FakeRequest& r) {
  if (r.param("sig") != "secret") return {.status = 403};
  Entry& entry = entries.at(static_cast<std::size_t>(*parse_int(r.path.substr(6))));
  if (r.method != "PUT") return {.body = entry.content};
  if (r.param("comp") == "block") {
    blocks[r.param("blockid")] = r.body;
  } else if (r.param("comp") == "blocklist") {
    for (const auto& [id, block] : blocks) entry.content += block;
    blocks.clear();
  } else {
    entry.content = r.body;
  }
  return {.status = 201};
}

http::FakeResponse FakeGha::list(const http::FakeRequest& r) const {
  if (!is_listed || r.header("authorization") != "Bearer gh") return {.status = 403};
  nlohmann::json caches = nlohmann::json::array();
  for (const Entry& entry : entries)
    if (entry.finished)
      caches.push_back({{"key", entry.key}, {"version", entry.version}, {"size_in_bytes", entry.content.size()}});
  return json({{"total_count", caches.size()}, {"actions_caches", caches}});
}

}  // namespace cbuild::cache
