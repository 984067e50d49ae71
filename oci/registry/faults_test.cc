// SPDX-License-Identifier: Apache-2.0
// Odd registries as a table. A row says what is done, which of its requests get which fault, and what has to come of
// it: success in spite of the fault, or an error of a code and with words that name the cause, after a bounded number
// of requests.
#include <span>

#include "oci/registry/http.h"
#include "oci/registry/pull_fixture.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

namespace {

using Change = std::function<void(FakeResponse&)>;
constexpr ErrorCode kWorks = ErrorCode::internal;  // what code_of() gives without an error
constexpr unsigned kAlways = 1000;

struct Row {
  const char* name;
  const char* method;
  const char* path;  ///< part of the path of the requests that are meant
  unsigned times;    ///< how many of them get the fault
  Change fault;
  ErrorCode code = kWorks;
  const char* text = "";
  unsigned most = kAlways;  ///< of these requests
};

Change with_status(int code, HeaderList headers = {}, std::string body = {}) {
  return [=](FakeResponse& r) { r = {.status = code, .headers = headers, .body = body}; };
}
Change raw(std::string bytes) {
  return [=](FakeResponse& r) { r.raw = bytes; };
}
Change header(std::string name, std::string value) {
  return [=](FakeResponse& r) {
    std::erase_if(r.headers, [&](const auto& h) { return h.first == name; });
    if (!value.empty()) r.headers.emplace_back(name, value);
  };
}
Change body(std::string text) {
  return [=](FakeResponse& r) { r.body = text; };
}
Change both(Change a, Change b) {
  return [=](FakeResponse& r) {
    a(r);
    b(r);
  };
}

const Change kHangUp = [](FakeResponse& r) { r.hang_up = true; };
const Change kSilent = [](FakeResponse& r) { r.silent = true; };
const Change kCut = [](FakeResponse& r) { r.reset_after = r.body.size() / 2; };
const Change kShort = [](FakeResponse& r) {
  r.stated_length = r.body.size();
  r.body.resize(r.body.size() / 2);
};
const Change kChunked = [](FakeResponse& r) { r.chunked = true; };
const Change kDrip = [](FakeResponse& r) { r.drip_ms = 200; };
const Change kDamage = [](FakeResponse& r) {
  if (!r.body.empty()) r.body[r.body.size() / 2] ^= 1;
};
const Change kNoDigest = header("Docker-Content-Digest", "");
const Change kPage = with_status(200, {{"Content-Type", "text/html; charset=utf-8"}}, "<html>log in</html>");
const std::string kGarbage = "\x15\x03\x01 what is this\r\n\r\n";
const std::string kHuge(3u << 20, 'h');

std::string whole_answer(const std::string& line_end, const std::string& body_text) {
  return cat("Content-Type: ", media_type::kManifest, line_end, "Content-Length: ", body_text.size(), line_end,
             line_end, body_text);
}

bool is_meant(const std::string& path, std::string_view part) {
  return part == "/v2/" ? path == part : path.find(part) != std::string::npos;
}

struct FaultFixture : PullFixture {
  /// Gives the first `times` of the requests of a row the fault.
  void inject(const Row& row) {
    left_ = row.times;
    meant_ = 0;
    registry.alter = [this, &row](const FakeRequest& request, FakeResponse& response) {
      if (request.method != row.method || !is_meant(request.path, row.path)) return;
      ++meant_;
      if (left_ == 0) return;
      --left_;
      row.fault(response);
    };
  }

  /// `action` gives what has come; with success it has to be `wanted`.
  template <typename Action>
  void check(std::span<const Row> rows, const std::string& wanted, Action action) {
    for (const Row& row : rows) {
      const std::string name = row.name;
      CAPTURE(name);
      inject(row);
      Client fresh(options);
      std::string what, got;
      const ErrorCode code = code_of([&] { got = action(fresh); }, &what);
      CAPTURE(what);
      CHECK(code == row.code);
      if (code == kWorks) CHECK(got == wanted);
      CHECK(what.find(row.text) != std::string::npos);
      CHECK(meant_ >= 1);
      CHECK(meant_ <= row.most);
      CHECK(what.find("plain http") == std::string::npos);  // none of these servers is asked the wrong way
    }
    registry.alter = nullptr;
  }

  /// For what has to be noticed by its slowness.
  void be_impatient() {
    options.limits.answer = options.limits.window = std::chrono::milliseconds(1500);
    options.limits.rate = 100;
  }

 private:
  unsigned left_ = 0, meant_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(FaultFixture, "faults of the first request, which finds out how a loopback registry is spoken to") {
  const Row rows[] = {
      {"reset once", "GET", "/v2/", 1, kHangUp},
      {"reset three times", "GET", "/v2/", 3, kHangUp},
      {"cut once", "GET", "/v2/", 1, both(body("0123456789"), kCut)},
      {"garbage once", "GET", "/v2/", 1, raw(kGarbage)},
      {"nothing once", "GET", "/v2/", 1, raw("")},
      {"an error of the server", "GET", "/v2/", 1, with_status(503)},
      {"a page", "GET", "/v2/", 1, kPage},
      {"400, though it does not speak TLS", "GET", "/v2/", 1, with_status(400)},
      {"reset always", "GET", "/v2/", kAlways, kHangUp, ErrorCode::network, "pull of", 5},
      {"garbage always", "GET", "/v2/", kAlways, raw(kGarbage), ErrorCode::network, "not HTTP", 5},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
  be_impatient();
  const Row silent[] = {
      {"silent", "GET", "/v2/", kAlways, kSilent, ErrorCode::network, "no answer within 1500 ms", 2},
  };
  check(silent, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a manifest's transfer") {
  const Row rows[] = {
      {"reset once", "GET", "/manifests/", 1, kHangUp},
      {"reset always", "GET", "/manifests/", kAlways, kHangUp, ErrorCode::network, "", 6},  // libcurl asks twice
      {"cut once", "GET", "/manifests/", 1, kCut},
      {"shorter than said, once", "GET", "/manifests/", 1, kShort},
      {"chunked", "GET", "/manifests/", kAlways, kChunked},
      {"chunked, cut once", "GET", "/manifests/", 1, both(kChunked, kCut)},
      {"chunked, cut always", "GET", "/manifests/", kAlways, both(kChunked, kCut), ErrorCode::network, "", 5},
      {"no length", "GET", "/manifests/", kAlways, [](FakeResponse& r) { r.no_length = true; }},
      {"garbage once", "GET", "/manifests/", 1, raw(kGarbage)},
      {"garbage always", "GET", "/manifests/", kAlways, raw(kGarbage), ErrorCode::network, "not HTTP", 5},
      {"nothing once", "GET", "/manifests/", 1, raw("")},
      {"HTTP/1.0", "GET", "/manifests/", 1, raw(cat("HTTP/1.0 200 OK\r\n", whole_answer("\r\n", manifest)))},
      {"bare line feeds", "GET", "/manifests/", 1, raw(cat("HTTP/1.1 200 OK\n", whole_answer("\n", manifest)))},
      {"no reason phrase", "GET", "/manifests/", 1, raw(cat("HTTP/1.1 200\r\n", whole_answer("\r\n", manifest)))},
      {"interim answers before it", "GET", "/manifests/", 1,
       raw(cat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n", whole_answer("\r\n", manifest)))},
      {"a header without colon", "GET", "/manifests/", 1,
       raw(cat("HTTP/1.1 200 OK\r\nnonsense\r\n", whole_answer("\r\n", manifest)))},
      {"huge headers", "GET", "/manifests/", kAlways, header("X-Big", kHuge), ErrorCode::network, "", 5},
      {"a thousand headers", "GET", "/manifests/", 1,
       [](FakeResponse& r) {
         for (int i = 0; i < 1000; ++i) r.headers.emplace_back(cat("X-", i), "value");
       }},
      {"a huge body", "GET", "/manifests/", kAlways, body(kHuge + kHuge), ErrorCode::corrupt, "larger than", 1},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
  be_impatient();
  const Row slow[] = {
      {"silent always", "GET", "/manifests/", kAlways, kSilent, ErrorCode::network, "no answer within", 2},
      {"a drip", "GET", "/manifests/", kAlways, kDrip, ErrorCode::network, "the least is 100 bytes/s", 3},
  };
  check(slow, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "statuses of a manifest") {
  const Row rows[] = {
      {"500 once", "GET", "/manifests/", 1, with_status(500)},
      {"502 page once", "GET", "/manifests/", 1, with_status(502, {}, "<html>bad gateway</html>")},
      {"504 always", "GET", "/manifests/", kAlways, with_status(504), ErrorCode::network, "HTTP 504 Gateway Timeout",
       5},
      {"429 in seconds", "GET", "/manifests/", 2, with_status(429, {{"Retry-After", "0"}})},
      {"429 by date", "GET", "/manifests/", 1, with_status(429, {{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}})},
      {"429 with nonsense", "GET", "/manifests/", 1, with_status(429, {{"Retry-After", "soon"}})},
      {"503 for a day", "GET", "/manifests/", kAlways, with_status(503, {{"Retry-After", "86400"}}), ErrorCode::network,
       "HTTP 503", 1},
      {"404 page", "GET", "/manifests/", kAlways, with_status(404, {}, "<html>"), ErrorCode::not_found,
       "HTTP 404 Not Found", 1},
      {"403 text", "GET", "/manifests/", kAlways, with_status(403, {}, "not \x1b[31myou"), ErrorCode::denied,
       "HTTP 403 not ", 1},
      {"401 without challenge", "GET", "/manifests/", kAlways, with_status(401), ErrorCode::denied, "HTTP 401", 1},
      {"401 with a scheme of its own", "GET", "/manifests/", kAlways,
       with_status(401, {{"WWW-Authenticate", "Negotiate abc"}}), ErrorCode::denied, "HTTP 401", 1},
      {"401 without a realm", "GET", "/manifests/", kAlways, with_status(401, {{"WWW-Authenticate", "Bearer"}}),
       ErrorCode::denied, "HTTP 401", 1},
      {"redirects for ever", "GET", "/manifests/", kAlways, with_status(307, {{"Location", "1"}}), ErrorCode::network,
       "too many redirects", 11},
      {"a redirect to nowhere", "GET", "/manifests/", kAlways, with_status(302), ErrorCode::network, "HTTP 302", 1},
      {"a redirect to a file", "GET", "/manifests/", kAlways, with_status(302, {{"Location", "file:///etc/passwd"}}),
       ErrorCode::network, "no http URL", 1},
      {"a redirect into the cloud's own network", "GET", "/manifests/", kAlways,
       with_status(302, {{"Location", "http://169.254.169.254/latest/"}}), ErrorCode::network, "inside this machine",
       1},
      {"204", "GET", "/manifests/", kAlways, with_status(204), ErrorCode::corrupt, "", 2},
      {"400 of a server that wants a certificate", "GET", "/manifests/", kAlways,
       with_status(400, {}, "<center>No required SSL certificate was sent</center>"), ErrorCode::network, "client.cert",
       1},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "contents of a manifest") {
  const std::string other = sha256("other").str();
  const Row rows[] = {
      {"damaged once", "GET", "/manifests/", 1, kDamage},
      {"damaged always", "GET", "/manifests/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"damaged once, without a digest to tell", "GET", "/manifests/", 1, both(kNoDigest, body("{\"schemaVers"))},
      {"empty once", "GET", "/manifests/", 1, both(kNoDigest, body(""))},
      {"another digest always", "GET", "/manifests/", kAlways, header("Docker-Content-Digest", other),
       ErrorCode::corrupt, "instead of", 2},
      {"no digest", "GET", "/manifests/", kAlways, kNoDigest},
      {"a digest that is none", "GET", "/manifests/", kAlways, header("Docker-Content-Digest", "sha256:xyz")},
      {"a page once", "GET", "/manifests/", 1, kPage},
      {"a page always", "GET", "/manifests/", kAlways, kPage, ErrorCode::corrupt, "HTML page instead of a manifest", 2},
      {"no media type", "GET", "/manifests/", kAlways, header("Content-Type", "")},
      {"a type that says nothing", "GET", "/manifests/", kAlways, header("Content-Type", "application/octet-stream")},
      {"a type with parameters", "GET", "/manifests/", kAlways,
       header("Content-Type", cat(media_type::kManifest, "; charset=utf-8"))},
      {"the type of an index", "GET", "/manifests/", kAlways, header("Content-Type", std::string(media_type::kIndex)),
       ErrorCode::corrupt, "", 2},
      {"a list instead of an object", "GET", "/manifests/", kAlways, both(kNoDigest, body("[]")), ErrorCode::corrupt,
       "", 2},
      {"nested too deeply", "GET", "/manifests/", kAlways,
       both(kNoDigest, body(std::string(100'000, '[') + std::string(100'000, ']'))), ErrorCode::corrupt, "", 2},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of HEAD") {
  const Row rows[] = {
      {"405", "HEAD", "/manifests/", kAlways, with_status(405), kWorks, "", 1},
      {"500", "HEAD", "/manifests/", kAlways, with_status(500), kWorks, "", 1},
      {"reset", "HEAD", "/manifests/", kAlways, kHangUp, kWorks, "", 2},
      {"no digest", "HEAD", "/manifests/", kAlways, kNoDigest, kWorks, "", 1},
      {"no length", "HEAD", "/manifests/", kAlways, [](FakeResponse& r) { r.no_length = true; }, kWorks, "", 1},
      {"no type", "HEAD", "/manifests/", kAlways, header("Content-Type", ""), kWorks, "", 1},
      {"a page", "HEAD", "/manifests/", kAlways, header("Content-Type", "text/html"), kWorks, "", 1},
  };
  check(rows, sha256(manifest).str(), [&](Client& c) { return c.resolve(ref).value().digest.str(); });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a blob") {
  const auto range = [](std::string text) { return both(with_status(206, {{"Content-Range", text}}), body("x")); };
  const Row rows[] = {
      {"reset once", "GET", "/blobs/", 1, kHangUp},
      {"cut four times", "GET", "/blobs/", 4, kCut},
      {"shorter than said, once", "GET", "/blobs/", 1, kShort},
      {"chunked, cut once", "GET", "/blobs/", 1, both(kChunked, kCut)},
      {"damaged once", "GET", "/blobs/", 1, kDamage},
      {"damaged always", "GET", "/blobs/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"longer once", "GET", "/blobs/", 1, [](FakeResponse& r) { r.body += "x"; }},
      {"longer always, without length", "GET", "/blobs/", kAlways,
       [](FakeResponse& r) {
         r.body += "x";
         r.no_length = true;
       },
       ErrorCode::corrupt, "more than the 300000 bytes", 2},
      {"a page once", "GET", "/blobs/", 1, kPage},
      {"a page always", "GET", "/blobs/", kAlways, kPage, ErrorCode::corrupt, "the descriptor says 300000", 2},
      {"a range that was not asked for, once", "GET", "/blobs/", 1, range("bytes 5-5/300000")},
      {"a range without numbers, once", "GET", "/blobs/", 1, range("bytes */300000")},
      {"416 always", "GET", "/blobs/", kAlways, with_status(416), ErrorCode::network, "Range", 5},
      {"503 once", "GET", "/blobs/", 1, with_status(503)},
      {"404", "GET", "/blobs/", kAlways, with_status(404), ErrorCode::not_found, "HTTP 404", 1},
      {"a redirect to itself", "GET", "/blobs/", kAlways, with_status(307, {{"Location", "?"}}), ErrorCode::network,
       "too many redirects", 11},
  };
  const auto pull = [&](Client& c) {
    const TempDir place = TempDir::in_tmp("fault");
    ImageLayout empty = ImageLayout::create(place.path() + "/store");
    c.fetch_blob(ref, descriptor, empty.blobs());
    return read_blob(empty.blobs(), descriptor.digest);
  };
  check(rows, blob, pull);
  be_impatient();
  const Row slow[] = {
      {"silent once", "GET", "/blobs/", 1, kSilent},
      {"a drip once", "GET", "/blobs/", 1, kDrip},
      {"a drip always", "GET", "/blobs/", kAlways, kDrip, ErrorCode::network, "the least is", 3},
  };
  check(slow, blob, pull);
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a config") {
  registry.add_blob("team/app", config);
  const Row rows[] = {
      {"damaged once", "GET", "/blobs/", 1, kDamage},
      {"damaged always", "GET", "/blobs/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"shorter, once", "GET", "/blobs/", 1, kShort},
      {"empty once", "GET", "/blobs/", 1, body("")},
  };
  check(rows, config, [&](Client& c) { return c.fetch_small_blob(ref, descriptor_of(config)); });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a push") {
  const std::string content = varied_content(200'000) + "end";
  const Descriptor layer = put_blob(layout.blobs(), content, std::string(media_type::kLayerGzip));
  const Change lost = [&](FakeResponse& r) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    r = error_response(404, "BLOB_UPLOAD_UNKNOWN", "x");
  };
  const Row rows[] = {
      {"HEAD is unknown", "HEAD", "/blobs/", kAlways, with_status(405)},
      {"HEAD fails", "HEAD", "/blobs/", kAlways, with_status(500)},
      {"HEAD finds one of another size", "HEAD", "/blobs/", 1, with_status(200, {{"Content-Length", "5"}})},
      {"no session once", "POST", "/uploads/", 1, with_status(503)},
      {"no session", "POST", "/uploads/", kAlways, with_status(503), ErrorCode::network, "HTTP 503", 5},
      {"reset once", "POST", "/uploads/", 1, kHangUp},
      {"no place to send it", "POST", "/uploads/", kAlways, header("Location", ""), ErrorCode::network,
       "names no place", 1},
      {"it claims to have it", "POST", "/uploads/", kAlways, with_status(201), ErrorCode::network, "HTTP 201", 1},
      {"the session is lost once", "PUT", "/uploads/", 1, lost},
      {"the session is always lost", "PUT", "/uploads/", kAlways, lost, ErrorCode::not_found, "BLOB_UPLOAD_UNKNOWN", 5},
      {"the answer is lost", "PUT", "/uploads/", 1, kHangUp, kWorks, "", 2},
      {"429 once", "PUT", "/uploads/", 1, with_status(429, {{"Retry-After", "0"}})},
      {"413", "PUT", "/uploads/", kAlways, with_status(413, {}, "<html>"), ErrorCode::network,
       "HTTP 413 Content Too Large", 1},
      {"read only", "PUT", "/uploads/", kAlways, with_status(403), ErrorCode::denied, "HTTP 403", 1},
      {"no digest in the answer", "PUT", "/uploads/", 1, kNoDigest, kWorks, "", 1},
      {"another digest in the answer", "PUT", "/uploads/", 1, header("Docker-Content-Digest", sha256("y").str()),
       ErrorCode::corrupt, "stored", 1},
  };
  const auto push = [&](Client& c) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    c.push_blob(ref, layer, layout.blobs(), std::nullopt);
    return registry.blobs.at("team/app@" + layer.digest.str());
  };
  check(rows, content, push);
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a mount") {
  const Descriptor layer = put_blob(layout.blobs(), "mount me", std::string(media_type::kLayerGzip));
  registry.add_blob("base/os", "mount me");
  const Row rows[] = {
      {"refused", "POST", "/uploads/", 1, with_status(405), kWorks, "", 2},
      {"not found", "POST", "/uploads/", 1, with_status(404), kWorks, "", 2},
      {"denied", "POST", "/uploads/", 1, with_status(403), kWorks, "", 2},
      {"fails for a moment", "POST", "/uploads/", 1, with_status(503), kWorks, "", 2},
  };
  check(rows, "mount me", [&](Client& c) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    c.push_blob(ref, layer, layout.blobs(), registry.reference("base/os"));
    return registry.blobs.at("team/app@" + layer.digest.str());
  });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a pushed manifest") {
  const Row rows[] = {
      {"500 once", "PUT", "/manifests/", 1, with_status(500)},
      {"reset once", "PUT", "/manifests/", 1, kHangUp},
      {"429 once", "PUT", "/manifests/", 1, with_status(429, {{"Retry-After", "0"}})},
      {"another digest", "PUT", "/manifests/", 1, header("Docker-Content-Digest", sha256("y").str()),
       ErrorCode::corrupt, "stored", 1},
      {"no digest", "PUT", "/manifests/", 1, kNoDigest, kWorks, "", 1},
      {"refused", "PUT", "/manifests/", kAlways, with_status(400, {}, R"({"errors":[{"code":"MANIFEST_INVALID"}]})"),
       ErrorCode::network, "MANIFEST_INVALID", 1},
  };
  check(rows, sha256(manifest).str(),
        [&](Client& c) { return c.push_manifest(ref, media_type::kManifest, manifest).str(); });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a token server") {
  registry.wants_token = true;
  const auto as_access_token = [](FakeResponse& r) { r.body = replace_all(r.body, R"("token")", R"("access_token")"); };
  const auto expires = [](const char* in) { return [=](FakeResponse& r) { r.body = replace_all(r.body, "300", in); }; };
  const Row rows[] = {
      {"as access_token", "GET", "/token", kAlways, as_access_token, kWorks, "", 1},
      {"503 once", "GET", "/token", 1, with_status(503), kWorks, "", 2},
      {"reset once", "GET", "/token", 1, kHangUp, kWorks, "", 2},
      {"garbage once", "GET", "/token", 1, raw(kGarbage), kWorks, "", 2},
      {"503 always", "GET", "/token", kAlways, with_status(503), ErrorCode::network, "token for", 5},
      {"an empty token", "GET", "/token", kAlways, body(R"({"token":""})"), ErrorCode::denied, "no token", 1},
      {"a page", "GET", "/token", kAlways, kPage, ErrorCode::corrupt, "token answer", 1},
      {"a token with a line break", "GET", "/token", kAlways, body(R"({"token":"a\r\nX: y"})"), ErrorCode::input,
       "line break", 1},
      {"a huge token", "GET", "/token", kAlways, body(R"({"token":")" + kHuge + R"("})"), ErrorCode::network,
       "larger than", 1},
      {"refused", "GET", "/token", kAlways, with_status(401), ErrorCode::denied, "token for", 1},
      {"ended before it begins", "GET", "/token", kAlways, expires("-5"), kWorks, "", 1},
      {"for ever", "GET", "/token", kAlways, expires("999999999999"), kWorks, "", 1},
      {"redirects for ever", "GET", "/token", kAlways, with_status(302, {{"Location", "/token?service=fake"}}),
       ErrorCode::network, "HTTP 302", 6},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
  be_impatient();
  const Row slow[] = {
      {"silent", "GET", "/token", kAlways, kSilent, ErrorCode::network, "no answer within", 2},
      {"a drip", "GET", "/token", kAlways, kDrip, ErrorCode::network, "the least is", 3},
  };
  check(slow, manifest, [&](Client& c) { return c.manifest(ref).body; });
}
