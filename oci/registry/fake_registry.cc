// SPDX-License-Identifier: Apache-2.0
// A registry for tests that follows the distribution-spec and notes requests that a correct client would not send as
// violations. Tests put faults in front of it (script) or behind it (alter). ClientFixture gives a client that talks to
// it alone: accounts from one file, no pauses, cancelled by a watchdog when a test hangs.
#include "oci/registry/fake_registry.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/sha512.h"

namespace cbuild::oci::registry {

namespace {

http::FakeResponse plain(int status) { return {.status = status}; }

/// First and last byte of "bytes=5-" and "bytes=5-9" of so many; nullopt when there is no Range header.
std::optional<std::pair<std::size_t, std::size_t>> range_of(const http::FakeRequest& request, std::size_t size) {
  const std::string range = request.header("range");
  if (!range.starts_with("bytes=")) return std::nullopt;
  const std::vector<std::string> ends = split(std::string_view(range).substr(6), '-');
  const std::size_t last = size == 0 ? 0 : size - 1;
  const auto to = ends.size() == 2 ? parse_int(ends[1]) : std::nullopt;
  return std::pair(static_cast<std::size_t>(parse_int(ends[0]).value_or(0)),
                   to ? std::min<std::size_t>(static_cast<std::size_t>(*to), last) : last);
}

}  // namespace

http::FakeResponse error_response(int status, const std::string& code, const std::string& message) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = cat(R"({"errors":[{"code":")", code, R"(","message":")", message, R"("}]})")};
}

FakeRegistry::FakeRegistry() {
  server = std::make_unique<http::FakeServer>([this](const http::FakeRequest& request) { return handle(request); });
}

Digest FakeRegistry::add_blob(const std::string& repository, const std::string& content) {
  const Digest digest = sha256(content);
  blobs[repository + "@" + digest.str()] = content;
  return digest;
}

Descriptor FakeRegistry::add_blob_by_sha512(const std::string& repository, const std::string& content) {
  Descriptor out = descriptor_of(content);
  out.digest = {};
  out.sha512 = sha512(content);
  blobs[repository + "@" + out.sha512] = content;
  return out;
}

Digest FakeRegistry::add_manifest(const std::string& repository, const std::string& tag, const std::string& body,
                                  const std::string& type) {
  const Digest digest = sha256(body);
  manifests[repository + "@" + digest.str()] = {type, body};
  if (!tag.empty()) manifests[repository + "@" + tag] = {type, body};
  return digest;
}

Reference FakeRegistry::reference(const std::string& name_and_tag) const {
  return parse_reference(server->authority() + "/" + name_and_tag);
}

http::FakeResponse FakeRegistry::handle(const http::FakeRequest& request) {
  http::FakeResponse out = route(request);
  if (alter) alter(request, out);
  return out;
}

http::FakeResponse FakeRegistry::route(const http::FakeRequest& request) {
  if (script) {
    if (auto scripted = script(request)) return *scripted;
  }
  if (request.path == "/token") return token(request);
  if (request.path == "/v2/") return check_access(request, {}).value_or(plain(200));
  if (request.path.find("/referrers/") != std::string::npos) return plain(404);  // a registry of version 1.0
  const std::size_t blobs_at = request.path.find("/blobs/"), manifests_at = request.path.find("/manifests/");
  const std::size_t end = std::min(blobs_at, manifests_at);
  if (!request.path.starts_with("/v2/") || end == std::string::npos) {
    violations.push_back("unknown path " + request.path);
    return plain(404);
  }
  const std::string repository = request.path.substr(4, end - 4);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  ScopeSet needed = reads ? ScopeSet::pull(repository) : ScopeSet::push(repository);
  if (const std::string from = request.param("from"); !from.empty()) needed.add(ScopeSet::pull(from));
  if (auto refused = check_access(request, needed)) return *refused;
  if (manifests_at != std::string::npos) return manifest(request, repository, request.path.substr(manifests_at + 11));
  const std::string rest = request.path.substr(blobs_at + 7);
  if (rest == "uploads/") return start_upload(request, repository);
  return rest.starts_with("uploads/") ? upload(request, repository) : blob(request, repository, rest);
}

http::FakeResponse FakeRegistry::token(const http::FakeRequest& request) {
  if (request.param("service") != "fake" && request.method == "GET") violations.emplace_back("token without service");
  if (!basic_user.empty()) {
    const std::string wanted = "Basic " + base64_encode(basic_user + ":" + basic_password);
    if (request.header("authorization") != wanted) return error_response(401, "UNAUTHORIZED", "wrong account");
  }
  ScopeSet granted;
  for (const std::string& scope : request.params("scope")) granted.add(scope);
  const std::string token = cat("fake-token-", tokens.size());
  tokens[token] = granted;
  return {.body = cat(R"({"token":")", token, R"(","expires_in":300})")};
}

std::optional<http::FakeResponse> FakeRegistry::check_access(const http::FakeRequest& request, const ScopeSet& needed) {
  const std::string given = request.header("authorization");
  if (!wants_token) {
    if (basic_user.empty()) {
      if (!given.empty()) violations.emplace_back("Authorization where none was asked for");
      return std::nullopt;
    }
    if (given == "Basic " + base64_encode(basic_user + ":" + basic_password)) return std::nullopt;
    http::FakeResponse refused = error_response(401, "UNAUTHORIZED", "authentication required");
    refused.headers.emplace_back("WWW-Authenticate", "Basic realm=\"fake, registry\"");
    return refused;
  }
  const bool has = given.starts_with("Bearer ");
  const auto token = tokens.find(has ? given.substr(7) : "");
  if (token != tokens.end() && token->second.covers(needed)) return std::nullopt;
  http::FakeResponse refused = error_response(401, "UNAUTHORIZED", "authentication required");
  std::string challenge = cat("Bearer realm=\"", realm.empty() ? server->url("/token") : realm, "\",service=\"fake\"");
  if (!needed.empty()) challenge += cat(",scope=\"", join(needed.texts(), " "), '"');
  if (token != tokens.end()) {
    challenge += ",error=\"insufficient_scope\"";
    ++misused_tokens;
  }
  refused.headers.emplace_back("WWW-Authenticate", challenge);
  return refused;
}

http::FakeResponse FakeRegistry::blob(const http::FakeRequest& request, const std::string& repository,
                                      const std::string& digest) {
  const auto found = blobs.find(repository + "@" + digest);
  if (found == blobs.end()) return error_response(404, "BLOB_UNKNOWN", "blob unknown to registry");
  http::FakeResponse out;
  out.headers = {{"Content-Type", "application/octet-stream"}, {"Docker-Content-Digest", digest}};
  out.body = found->second;
  const auto range = range_of(request, out.body.size());
  if (!range) return out;
  const auto [first, last] = *range;
  if (first >= out.body.size()) {
    violations.emplace_back("Range at or after the end");
    return plain(416);
  }
  out.status = 206;
  out.headers.emplace_back("Content-Range", cat("bytes ", first, '-', last, '/', out.body.size()));
  out.body = out.body.substr(first, last - first + 1);
  return out;
}

http::FakeResponse FakeRegistry::manifest(const http::FakeRequest& request, const std::string& repository,
                                          const std::string& name) {
  if (request.method == "PUT") {
    const Digest digest = add_manifest(repository, name, request.body, request.header("content-type"));
    return {.status = 201, .headers = {{"Docker-Content-Digest", digest.str()}, {"Location", request.path}}};
  }
  const auto found = manifests.find(repository + "@" + name);
  if (found == manifests.end()) return error_response(404, "MANIFEST_UNKNOWN", "manifest unknown");
  const auto& [type, body] = found->second;
  if (request.header("accept").find(type) == std::string::npos) violations.push_back("Accept does not list " + type);
  return {.headers = {{"Content-Type", type}, {"Docker-Content-Digest", sha256(body).str()}}, .body = body};
}

http::FakeResponse FakeRegistry::start_upload(const http::FakeRequest& request, const std::string& repository) {
  if (request.method != "POST") violations.push_back(request.method + " on uploads/");
  if (request.header("content-length") != "0") violations.emplace_back("POST without Content-Length: 0");
  if (const std::string digest = request.param("mount"); !digest.empty()) {
    const auto source = blobs.find(request.param("from") + "@" + digest);
    if (source != blobs.end()) {
      const std::string content = source->second;
      add_blob(repository, content);
      return {.status = 201, .headers = {{"Location", "/v2/" + repository + "/blobs/" + digest}}};
    }
  }
  const std::string path = cat("/v2/", repository, "/blobs/uploads/", ++uploads_begun);
  uploads[path];
  return {.status = 202, .headers = upload_state(path)};
}

http::FakeResponse FakeRegistry::upload(const http::FakeRequest& request, const std::string& repository) {
  const auto open = uploads.find(request.path);
  if (open == uploads.end()) return error_response(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
  if (request.param("_state") != "a+b") violations.emplace_back("query of the Location was lost");
  std::string& content = open->second;
  if (request.method == "PATCH") {
    if (!takes_chunks) return error_response(405, "UNSUPPORTED", "no chunks");
    const std::string range = cat(content.size(), "-", content.size() + request.body.size() - 1);
    if (request.header("content-range") != range) return {.status = 416, .headers = upload_state(request.path)};
    content += request.body;
    return {.status = 202, .headers = upload_state(request.path)};
  }
  if (request.method == "GET") return {.status = 204, .headers = upload_state(request.path)};
  const std::string whole = std::exchange(content, {}) + request.body;
  uploads.erase(open);
  if (request.method == "DELETE") return plain(204);
  if (request.method != "PUT") violations.push_back(request.method + " on an upload");
  const Digest digest = sha256(whole);
  if (request.param("digest") != digest.str()) return error_response(400, "DIGEST_INVALID", "digest does not match");
  add_blob(repository, whole);
  return {.status = 201, .headers = {{"Docker-Content-Digest", digest.str()}}};
}

std::vector<std::pair<std::string, std::string>> FakeRegistry::upload_state(const std::string& path) const {
  const std::string location = path + "?_state=a%2Bb";
  const std::size_t size = uploads.at(path).size();
  return {{"Location", relative_location ? location : server->url(location)},
          {"Range", cat("0-", size == 0 ? 0 : size - 1)}};
}

Watchdog::Watchdog() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::minutes(3), [&] { return ended_; })) return;
    std::fputs("registry tests: a client takes longer than 3 minutes and is cancelled\n", stderr);
    cancel_.cancel();
  });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

ClientFixture::ClientFixture() {
  options.cancel = &watchdog.cancel();
  options.auth_file = dir.path() + "/auth.json";
  options.retry_delay = std::chrono::milliseconds(1);
  options.warn = [this](const std::string& line) {
    const std::lock_guard lock(warnings_mutex_);
    warnings.push_back(line);
  };
  write_auth("{}");
}

void ClientFixture::write_auth(const std::string& json) { sys::write_file_at(dir.fd(), "auth.json", json); }

void ClientFixture::write_account(const std::string& registry, const std::string& user, const std::string& password) {
  write_auth(cat(R"({"auths":{")", registry, R"(":{"auth":")", base64_encode(user + ":" + password), R"("}}})"));
}

Client& ClientFixture::client() {
  if (!client_) client_ = std::make_unique<Client>(options);
  return *client_;
}

ErrorCode code_of(const std::function<void()>& action, std::string* what) {
  try {
    action();
  } catch (const Error& e) {
    if (what != nullptr) *what = std::string(e.what()) + " | " + e.hint();
    return e.code();
  }
  return ErrorCode::internal;
}

Descriptor descriptor_of(const std::string& content) {
  Descriptor out;
  out.media_type = media_type::kLayerGzip;
  out.digest = sha256(content);
  out.size = content.size();
  return out;
}

}  // namespace cbuild::oci::registry
