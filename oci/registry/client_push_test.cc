// SPDX-License-Identifier: Apache-2.0
// Pushes to a fake registry that loses uploads, refuses mounts, or gives odd places for the upload.
#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/fake_registry.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;
using Outcome = Client::PushOutcome;

namespace {

struct PushFixture : ClientFixture {
  FakeRegistry registry;
  const std::string content = std::string(500'000, 'x') + "end";
  Reference ref = registry.reference("team/app:1");
  Descriptor descriptor = put_blob(layout.blobs(), content, std::string(media_type::kLayerGzip));

  ~PushFixture() { CHECK(registry.violations == std::vector<std::string>{}); }

  Outcome push(const std::optional<Reference>& from = std::nullopt) {
    return client().push_blob(ref, descriptor, layout.blobs(), from);
  }
  bool has_blob() const { return registry.blobs.contains("team/app@" + descriptor.digest.str()); }
  std::size_t count(const std::string& method) const { return registry.server->count(method, "/blobs/"); }

  /// The n-th request (from 0) with `method` below /blobs/ gets the n-th response; nullopt: as usual.
  void script_method(const std::string& method, std::vector<std::optional<http::FakeResponse>> responses) {
    registry.script = [=, n = std::size_t{0}](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
      const bool mine = r.method == method && r.path.find("/blobs/") != std::string::npos;
      return mine && n < responses.size() ? responses[n++] : std::nullopt;
    };
  }
};

}  // namespace

TEST_CASE_FIXTURE(PushFixture, "a blob is uploaded in one piece, then it exists") {
  std::uint64_t last = 0;
  const auto progress = [&](std::uint64_t sent, std::uint64_t total) {
    CHECK(sent >= last);
    CHECK(total == content.size());
    last = sent;
  };
  CHECK(client().push_blob(ref, descriptor, layout.blobs(), std::nullopt, progress) == Outcome::uploaded);
  CHECK(last == content.size());
  CHECK(has_blob());
  CHECK(push() == Outcome::exists);
  CHECK(count("POST") == 1);
  CHECK(count("PUT") == 1);
}

TEST_CASE_FIXTURE(PushFixture, "a relative Location") {
  registry.relative_location = true;
  CHECK(push() == Outcome::uploaded);
}

TEST_CASE_FIXTURE(PushFixture, "an empty blob") {
  descriptor = put_blob(layout.blobs(), "", "x");
  CHECK(push() == Outcome::uploaded);
  CHECK(has_blob());
}

TEST_CASE_FIXTURE(PushFixture, "a blob of another repository is mounted") {
  registry.add_blob("base/os", content);
  CHECK(push(registry.reference("base/os")) == Outcome::mounted);
  CHECK(has_blob());
  CHECK(count("PUT") == 0);
}

TEST_CASE_FIXTURE(PushFixture, "a mount that does not work becomes an upload in the same session") {
  CHECK(push(registry.reference("base/os")) == Outcome::uploaded);
  CHECK(count("POST") == 1);
  CHECK(has_blob());
}

TEST_CASE_FIXTURE(PushFixture, "a refused mount is tried without") {
  script_method("POST", {error_response(403, "DENIED", "no access to the source")});
  CHECK(push(registry.reference("base/os")) == Outcome::uploaded);
  const std::vector<http::FakeRequest> log = registry.server->log();
  CHECK(log[2].param("from") == "base/os");
  CHECK(log[3].param("from").empty());
  CHECK(count("POST") == 2);
}

TEST_CASE_FIXTURE(PushFixture, "no mount from another registry or from itself") {
  CHECK(push(parse_reference("elsewhere.example/base")) == Outcome::uploaded);
  for (const http::FakeRequest& r : registry.server->log()) CHECK(r.param("mount").empty());
}

TEST_CASE_FIXTURE(PushFixture, "a push takes one token") {
  registry.wants_token = true;
  SUBCASE("upload") { CHECK(push() == Outcome::uploaded); }
  SUBCASE("mount") {
    registry.add_blob("base/os", content);
    CHECK(push(registry.reference("base/os")) == Outcome::mounted);
  }
  client().push_manifest(ref, media_type::kManifest, "{}");
  CHECK(registry.server->count("GET", "/token") == 1);
}

TEST_CASE_FIXTURE(PushFixture, "without a right to the source of a mount the blob is uploaded") {
  registry.wants_token = true;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path != "/token" || r.params("scope").size() < 2) return std::nullopt;
    return error_response(403, "DENIED", "not your repository");
  };
  registry.add_blob("base/os", content);
  CHECK(push(registry.reference("base/os")) == Outcome::uploaded);
}

TEST_CASE_FIXTURE(PushFixture, "a token that ends during the upload is renewed") {
  registry.wants_token = true;
  http::FakeResponse expired = error_response(401, "UNAUTHORIZED", "expired");
  expired.headers.emplace_back("WWW-Authenticate",
                               cat("Bearer realm=\"", registry.server->url("/token"), "\",service=\"fake\""));
  script_method("PUT", {expired});
  CHECK(push() == Outcome::uploaded);
  CHECK(has_blob());
}

TEST_CASE_FIXTURE(PushFixture, "a broken upload is cancelled and begun again") {
  SUBCASE("server error") {
    script_method("PUT", {http::FakeResponse{.status = 500}, http::FakeResponse{.status = 502}});
  }
  SUBCASE("session is lost") {
    script_method("PUT",
                  {error_response(404, "BLOB_UPLOAD_UNKNOWN", "x"), error_response(400, "BLOB_UPLOAD_INVALID", "x")});
  }
  CHECK(push() == Outcome::uploaded);
  CHECK(has_blob());
  CHECK(count("POST") == 3);
  CHECK(count("DELETE") == 2);
}

TEST_CASE_FIXTURE(PushFixture, "an upload whose answer was lost is not repeated") {
  registry.script = [&, n = 0](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
    if (r.method != "PUT" || n++ > 0) return std::nullopt;
    registry.add_blob("team/app", r.body);
    return http::FakeResponse{.status = 504};
  };
  CHECK(push() == Outcome::uploaded);
  CHECK(count("PUT") == 1);
}

TEST_CASE_FIXTURE(PushFixture, "an upload that nobody takes ends") {
  const UniqueFd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(deaf.get(), generic, sizeof address) == 0);
  REQUIRE(::listen(deaf.get(), 16) == 0);
  REQUIRE(::getsockname(deaf.get(), generic, &length) == 0);
  const std::string place = cat("http://127.0.0.1:", ntohs(address.sin_port), "/put");
  descriptor = put_blob(layout.blobs(), std::string(16u << 20, 'y'), "x");
  options.limits.window = std::chrono::seconds(1);
  options.limits.rate = 1u << 20;
  script_method("POST", std::vector<std::optional<http::FakeResponse>>(
                            9, http::FakeResponse{.status = 202, .headers = {{"Location", place}}}));
  std::string what;
  CHECK(code_of([&] { push(); }, &what) == ErrorCode::network);
  const bool ended = what.find("no data taken for 1 s") != std::string::npos ||  // the kernel may take a little first
                     what.find(" bytes in 1 s") != std::string::npos;
  CHECK(ended);
  CHECK(count("POST") <= 3);
}

TEST_CASE_FIXTURE(PushFixture, "the registry's reasons are shown") {
  script_method("PUT",
                std::vector<std::optional<http::FakeResponse>>(9, error_response(400, "DIGEST_INVALID", "bad blob")));
  std::string what;
  CHECK(code_of([&] { push(); }, &what) == ErrorCode::network);
  CHECK(what.find("DIGEST_INVALID: bad blob") != std::string::npos);
  CHECK(count("PUT") == 1);
}

TEST_CASE_FIXTURE(PushFixture, "a refused push is denied") {
  script_method("POST", {error_response(403, "DENIED", "read only")});
  std::string what;
  CHECK(code_of([&] { push(); }, &what) == ErrorCode::denied);
  CHECK(what.find("read only") != std::string::npos);
}

TEST_CASE_FIXTURE(PushFixture, "a Location on another host gets the content without Authorization") {
  registry.basic_user = "me";
  registry.basic_password = "password-1";
  write_account(ref.registry, "me", "password-1");
  std::string stored;
  http::FakeServer storage([&](const http::FakeRequest& r) {
    CHECK(r.header("authorization").empty());
    CHECK(r.param("digest") == descriptor.digest.str());
    stored = r.body;
    return http::FakeResponse{.status = 201};
  });
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.method != "POST" || r.header("authorization").empty()) return std::nullopt;
    return http::FakeResponse{.status = 202, .headers = {{"Location", storage.url("/put?s=1")}}};
  };
  CHECK(push() == Outcome::uploaded);
  CHECK(stored == content);
}

TEST_CASE_FIXTURE(PushFixture, "odd Locations") {
  for (const char* location : {"", "ftp://x/", "http://169.254.169.254/"}) {
    CAPTURE(location);
    script_method("POST", {http::FakeResponse{.status = 202, .headers = {{"Location", location}}}});
    CHECK(code_of([&] { push(); }) == ErrorCode::network);
  }
}

TEST_CASE_FIXTURE(PushFixture, "an answer with another digest is corrupt") {
  script_method("PUT", {http::FakeResponse{.status = 201, .headers = {{"Docker-Content-Digest", sha256("y").str()}}}});
  CHECK(code_of([&] { push(); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PushFixture, "a cancel during the upload takes it back") {
  CancelSource cancel;
  options.cancel = &cancel;
  const auto stop = [&](std::uint64_t, std::uint64_t) { cancel.cancel(); };
  CHECK(code_of([&] { client().push_blob(ref, descriptor, layout.blobs(), std::nullopt, stop); }) ==
        ErrorCode::cancelled);
  CHECK(count("DELETE") == 1);
  CHECK(registry.uploads.empty());
}

TEST_CASE_FIXTURE(PushFixture, "a blob that is shorter than its descriptor") {
  descriptor.size += 1;
  CHECK(code_of([&] { push(); }) == ErrorCode::corrupt);
  CHECK_FALSE(has_blob());
  CHECK(count("DELETE") == 1);
}

TEST_CASE_FIXTURE(PushFixture, "manifests by tag and by digest, exact bytes and type") {
  const std::string body = "{ \"schemaVersion\": 2 }";
  CHECK(client().push_manifest(ref, media_type::kDockerManifest, body) == sha256(body));
  CHECK(registry.manifests.at("team/app@1") == std::pair(std::string(media_type::kDockerManifest), body));
  Reference by_digest = ref;
  by_digest.tag.clear();
  CHECK(client().push_manifest(by_digest, media_type::kIndex, "{}") == sha256("{}"));
  CHECK(registry.manifests.contains("team/app@" + sha256("{}").str()));
  by_digest.digest = sha256("other");
  CHECK(code_of([&] { client().push_manifest(by_digest, media_type::kIndex, "{}"); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PushFixture, "referrers come from the registry's list, else from the subject's tag") {
  const Digest subject = sha256("subject");
  const auto index_of = [](const std::string& type) {
    Index index;
    index.manifests.emplace_back();
    index.manifests[0].media_type = std::string(media_type::kManifest);
    index.manifests[0].digest = sha256(type);
    index.manifests[0].artifact_type = type;
    return to_json(index);
  };
  bool lists = false;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.target != "/v2/team/app/referrers/" + subject.str()) return std::nullopt;
    if (!lists) return error_response(404, "NOT_FOUND", "no such page");
    http::FakeResponse response;
    response.headers.emplace_back("Content-Type", std::string(media_type::kIndex));
    response.body = index_of("listed");
    return response;
  };
  CHECK(client().referrers(ref, subject).empty());
  registry.add_manifest("team/app", "sha256-" + subject.hex(), index_of("tagged"), std::string(media_type::kIndex));
  REQUIRE(client().referrers(ref, subject).size() == 1);
  CHECK(client().referrers(ref, subject)[0].artifact_type == "tagged");
  lists = true;
  REQUIRE(client().referrers(ref, subject).size() == 1);
  CHECK(client().referrers(ref, subject)[0].artifact_type == "listed");
}

TEST_CASE_FIXTURE(PushFixture, "a manifest the registry refuses or changes") {
  registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    return r.method == "PUT" ? std::optional(error_response(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown"))
                             : std::nullopt;
  };
  std::string what;
  CHECK(code_of([&] { client().push_manifest(ref, media_type::kManifest, "{}"); }, &what) == ErrorCode::network);
  CHECK(what.find("MANIFEST_BLOB_UNKNOWN") != std::string::npos);
  registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.method != "PUT") return std::nullopt;
    return http::FakeResponse{.status = 201, .headers = {{"Docker-Content-Digest", sha256("?").str()}}};
  };
  CHECK(code_of([&] { client().push_manifest(ref, media_type::kManifest, "{}"); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PushFixture, "a page of a proxy, with 200, does not pass for an answer of the registry") {
  std::string method;
  SUBCASE("HEAD of a blob") { method = "HEAD"; }
  SUBCASE("PUT of a manifest") { method = "PUT"; }
  unsigned pages = 0;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    const bool page = r.method == method && (method == "HEAD" || r.path.find("/manifests/") != std::string::npos);
    if (!page || pages++ > 0) return std::nullopt;
    return http::FakeResponse{.headers = {{"Content-Type", "text/html"}}, .body = method == "HEAD" ? "" : "<p>Sign in"};
  };
  CHECK(push() == Client::PushOutcome::uploaded);
  client().push_manifest(registry.reference("team/app:1"), media_type::kManifest, R"({"schemaVersion":2})");
  CHECK(pages >= 2);
  CHECK(registry.manifests.contains("team/app@1"));
}
