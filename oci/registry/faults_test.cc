// SPDX-License-Identifier: Apache-2.0
// Faults of a registry or token server against a client that reads (fault_table.h).
#include "oci/registry/fault_table.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

TEST_CASE_FIXTURE(FaultFixture, "faults of the first request, which finds out how a loopback registry is spoken to") {
  const FaultRow rows[] = {
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
  const FaultRow silent[] = {
      {"silent", "GET", "/v2/", kAlways, kSilent, ErrorCode::network, "no answer within 1500 ms", 2},
  };
  check(silent, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a manifest's transfer") {
  const FaultRow rows[] = {
      {"reset once", "GET", "/manifests/", 1, kHangUp},
      {"reset always", "GET", "/manifests/", kAlways, kHangUp, ErrorCode::network, "", 6},  // libcurl asks twice
      {"cut once", "GET", "/manifests/", 1, kCut},
      {"shorter than said, once", "GET", "/manifests/", 1, kShort},
      {"chunked", "GET", "/manifests/", kAlways, kChunked},
      {"chunked, cut once", "GET", "/manifests/", 1, both(kChunked, kCut)},
      {"chunked, cut always", "GET", "/manifests/", kAlways, both(kChunked, kCut), ErrorCode::network, "", 5},
      {"no length", "GET", "/manifests/", kAlways, [](http::FakeResponse& r) { r.no_length = true; }},
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
       [](http::FakeResponse& r) {
         for (int i = 0; i < 1000; ++i) r.headers.emplace_back(cat("X-", i), "value");
       }},
      {"a huge body", "GET", "/manifests/", kAlways, body(kHuge + kHuge), ErrorCode::corrupt, "larger than", 1},
  };
  check(rows, manifest, [&](Client& c) { return c.manifest(ref).body; });
  be_impatient();
  const FaultRow slow[] = {
      {"silent always", "GET", "/manifests/", kAlways, kSilent, ErrorCode::network, "no answer within", 2},
      {"a drip", "GET", "/manifests/", kAlways, kDrip, ErrorCode::network, "the least is 100 bytes/s", 3},
  };
  check(slow, manifest, [&](Client& c) { return c.manifest(ref).body; });
}

TEST_CASE_FIXTURE(FaultFixture, "statuses of a manifest") {
  const FaultRow rows[] = {
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
       ErrorCode::network, "not http or https", 1},
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
  const FaultRow rows[] = {
      {"damaged once", "GET", "/manifests/", 1, kDamage},
      {"damaged always", "GET", "/manifests/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"damaged once, without a digest to tell", "GET", "/manifests/", 1, both(kNoDigest, body("{\"schemaVers"))},
      {"empty once", "GET", "/manifests/", 1, both(kNoDigest, body(""))},
      {"another digest always", "GET", "/manifests/", kAlways, header("Docker-Content-Digest", other),
       ErrorCode::corrupt, "instead of", 2},
      {"no digest", "GET", "/manifests/", kAlways, kNoDigest},
      {"a malformed digest", "GET", "/manifests/", kAlways, header("Docker-Content-Digest", "sha256:xyz")},
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

TEST_CASE_FIXTURE(FaultFixture, "faults of an index that an index lists") {
  const auto index_of = [&](const std::string& listed, std::string_view type) {
    Index out;
    out.manifests = {descriptor_of(listed)};
    out.manifests[0].media_type = type;
    return to_json(out);
  };
  const std::string inner = index_of(manifest, media_type::kManifest), outer = index_of(inner, media_type::kIndex);
  const std::string index_type(media_type::kIndex);
  registry.add_manifest("team/app", "nested", outer, index_type);
  registry.add_manifest("team/app", "", inner, index_type);
  const std::string path = cat("/manifests/", sha256(inner).str());
  const char* in = path.c_str();
  const FaultRow rows[] = {
      {"as it is", "GET", in, 1, kChunked, kWorks, "", 1},
      {"reset once", "GET", in, 1, kHangUp},
      {"503 once", "GET", in, 1, with_status(503)},
      {"cut once", "GET", in, 1, kCut},
      {"damaged once", "GET", in, 1, kDamage},
      {"damaged always", "GET", in, kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"another digest in the header", "GET", in, kAlways, header("Docker-Content-Digest", sha256(outer).str()), kWorks,
       "", 1},
      {"another document", "GET", in, kAlways, both(kNoDigest, body(outer)), ErrorCode::corrupt, "instead of", 2},
      {"a page always", "GET", in, kAlways, kPage, ErrorCode::corrupt, "HTML page instead of a manifest", 2},
      {"the type of a manifest", "GET", in, kAlways, header("Content-Type", std::string(media_type::kManifest)),
       ErrorCode::corrupt, "", 2},
      {"404", "GET", in, kAlways, with_status(404), ErrorCode::not_found, "HTTP 404", 1},
  };
  check(rows, manifest, [&](Client& c) {
    Reference next = registry.reference("team/app:nested");
    for (;;) {
      const FetchedManifest found = c.manifest(next);
      const auto document = parse_manifest(found.body, found.media_type);
      if (std::holds_alternative<Manifest>(document)) return found.body;
      next.tag.clear();
      next.digest = std::get<Index>(document).manifests.at(0).digest;
    }
  });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of HEAD") {
  const FaultRow rows[] = {
      {"405", "HEAD", "/manifests/", kAlways, with_status(405), kWorks, "", 1},
      {"500", "HEAD", "/manifests/", kAlways, with_status(500), kWorks, "", 1},
      {"reset", "HEAD", "/manifests/", kAlways, kHangUp, kWorks, "", 2},
      {"no digest", "HEAD", "/manifests/", kAlways, kNoDigest, kWorks, "", 1},
      {"no length", "HEAD", "/manifests/", kAlways, [](http::FakeResponse& r) { r.no_length = true; }, kWorks, "", 1},
      {"no type", "HEAD", "/manifests/", kAlways, header("Content-Type", ""), kWorks, "", 1},
      {"a page", "HEAD", "/manifests/", kAlways, header("Content-Type", "text/html"), kWorks, "", 1},
  };
  check(rows, sha256(manifest).str(), [&](Client& c) { return c.resolve(ref).value().digest.str(); });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a blob") {
  const auto range = [](std::string text) { return both(with_status(206, {{"Content-Range", text}}), body("x")); };
  const FaultRow rows[] = {
      {"reset once", "GET", "/blobs/", 1, kHangUp},
      {"cut four times", "GET", "/blobs/", 4, kCut},
      {"shorter than said, once", "GET", "/blobs/", 1, kShort},
      {"chunked, cut once", "GET", "/blobs/", 1, both(kChunked, kCut)},
      {"damaged once", "GET", "/blobs/", 1, kDamage},
      {"damaged always", "GET", "/blobs/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"longer once", "GET", "/blobs/", 1, [](http::FakeResponse& r) { r.body += "x"; }},
      {"longer always, without length", "GET", "/blobs/", kAlways,
       [](http::FakeResponse& r) {
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
  const FaultRow slow[] = {
      {"silent once", "GET", "/blobs/", 1, kSilent},
      {"a drip once", "GET", "/blobs/", 1, kDrip},
      {"a drip always", "GET", "/blobs/", kAlways, kDrip, ErrorCode::network, "the least is", 3},
  };
  check(slow, blob, pull);
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a zstd layer that docker's type calls gzip") {
  const std::string frame = "\x28\xb5\x2f\xfd" + varied_content(100'000);
  registry.add_blob("team/app", frame);
  Descriptor layer = descriptor_of(frame);
  layer.media_type = media_type::kDockerLayerGzip;
  const std::string old_type(media_type::kDockerLayerGzip);
  const FaultRow rows[] = {
      {"its type as the content's", "GET", "/blobs/", kAlways, header("Content-Type", old_type), kWorks, "", 1},
      {"an encoding that is its own", "GET", "/blobs/", kAlways, header("Content-Encoding", "zstd"), kWorks, "", 1},
      {"an encoding that it does not have", "GET", "/blobs/", kAlways, header("Content-Encoding", "gzip"), kWorks, "",
       1},
      {"cut once", "GET", "/blobs/", 1, both(header("Content-Encoding", "zstd"), kCut), kWorks, "", 3},
      {"damaged always", "GET", "/blobs/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
  };
  check(rows, frame, [&](Client& c) {
    const TempDir place = TempDir::in_tmp("fault");
    ImageLayout empty = ImageLayout::create(place.path() + "/store");
    c.fetch_blob(ref, layer, empty.blobs());
    return read_blob(empty.blobs(), layer.digest);
  });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a config") {
  registry.add_blob("team/app", config);
  const FaultRow rows[] = {
      {"damaged once", "GET", "/blobs/", 1, kDamage},
      {"damaged always", "GET", "/blobs/", kAlways, kDamage, ErrorCode::corrupt, "instead of", 2},
      {"shorter, once", "GET", "/blobs/", 1, kShort},
      {"empty once", "GET", "/blobs/", 1, body("")},
  };
  check(rows, config, [&](Client& c) { return c.fetch_small_blob(ref, descriptor_of(config)); });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a token server") {
  registry.wants_token = true;
  const auto as_access_token = [](http::FakeResponse& r) {
    r.body = replace_all(r.body, R"("token")", R"("access_token")");
  };
  const auto expires = [](const char* in) {
    return [=](http::FakeResponse& r) { r.body = replace_all(r.body, "300", in); };
  };
  const FaultRow rows[] = {
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
  const FaultRow slow[] = {
      {"silent", "GET", "/token", kAlways, kSilent, ErrorCode::network, "no answer within", 2},
      {"a drip", "GET", "/token", kAlways, kDrip, ErrorCode::network, "the least is", 3},
  };
  check(slow, manifest, [&](Client& c) { return c.manifest(ref).body; });
}
