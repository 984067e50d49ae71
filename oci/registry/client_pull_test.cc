// SPDX-License-Identifier: Apache-2.0
// Pulls from a fake registry that sends other bytes, lengths or ranges than it should.
#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/pull_fixture.h"
#include "oci/sha512.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

TEST_CASE_FIXTURE(PullFixture, "manifests by tag and by digest") {
  const FetchedManifest got = client().manifest(ref);
  CHECK(got.body == manifest);
  CHECK(got.digest == sha256(manifest));
  CHECK(got.media_type == media_type::kManifest);
  Reference pinned = ref;
  pinned.digest = got.digest;
  CHECK(client().manifest(pinned).body == manifest);
  CHECK(registry.server->log().back().path.ends_with(got.digest.str()));
  pinned.digest = sha256("other");
  CHECK(code_of([&] { client().manifest(pinned); }) == ErrorCode::not_found);
}

TEST_CASE_FIXTURE(PullFixture, "the registry's message about a missing image is shown") {
  std::string what;
  CHECK(code_of([&] { client().manifest(registry.reference("team/none:2")); }, &what) == ErrorCode::not_found);
  CHECK(what.find("MANIFEST_UNKNOWN: manifest unknown") != std::string::npos);
  CHECK(what.find("team/none:2") != std::string::npos);
}

TEST_CASE_FIXTURE(PullFixture, "resolve asks with HEAD") {
  const auto got = client().resolve(ref);
  REQUIRE(got);
  CHECK(got->digest == sha256(manifest));
  CHECK(got->size == manifest.size());
  CHECK(got->media_type == media_type::kManifest);
  CHECK(registry.server->count("GET", "/manifests/") == 0);
  CHECK_FALSE(client().resolve(registry.reference("team/app:none")));
}

TEST_CASE_FIXTURE(PullFixture, "resolve without HEAD or without a digest falls back to GET") {
  int status = 405;
  SUBCASE("405") { status = 405; }
  SUBCASE("200 without digest") { status = 200; }
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.method != "HEAD") return std::nullopt;
    return http::FakeResponse{.status = status, .headers = {{"Content-Type", std::string(media_type::kManifest)}}};
  };
  CHECK(client().resolve(ref)->digest == sha256(manifest));
  CHECK(registry.server->count("GET", "/manifests/") == 1);
}

TEST_CASE_FIXTURE(PullFixture, "a manifest that does not have its digest is refused") {
  Reference pinned = ref;
  pinned.digest = sha256(manifest);
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (!is_manifest(r)) return std::nullopt;
    http::FakeResponse out{.headers = {{"Content-Type", std::string(media_type::kManifest)}}, .body = manifest + " "};
    if (r.path.ends_with("/1")) out.headers.emplace_back("Docker-Content-Digest", sha256(manifest).str());
    return out;
  };
  CHECK(code_of([&] { client().manifest(pinned); }) == ErrorCode::corrupt);
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PullFixture, "Docker-Content-Digest and Content-Type may be missing") {
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (!is_manifest(r)) return std::nullopt;
    return http::FakeResponse{.headers = {{"Content-Type", "application/octet-stream"}}, .body = manifest};
  };
  CHECK(client().manifest(ref).media_type == media_type::kManifest);
  CHECK(client().resolve(ref)->digest == sha256(manifest));
}

TEST_CASE_FIXTURE(PullFixture, "a wrong Content-Type and ambiguous documents are refused") {
  registry.add_manifest("team/app", "wrong", manifest, std::string(media_type::kIndex));
  CHECK(code_of([&] { client().manifest(registry.reference("team/app:wrong")); }) == ErrorCode::corrupt);
  registry.add_manifest("team/app", "both", R"({"schemaVersion":2,"manifests":[],"layers":[]})",
                        std::string(media_type::kIndex));
  CHECK(code_of([&] { client().manifest(registry.reference("team/app:both")); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PullFixture, "schema 1 is refused by name") {
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (!is_manifest(r)) return std::nullopt;
    return http::FakeResponse{
        .headers = {{"Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws"}},
        .body = R"({"schemaVersion":1})"};
  };
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::unsupported);
  CHECK(code_of([&] { client().resolve(ref); }) == ErrorCode::unsupported);
}

TEST_CASE_FIXTURE(PullFixture, "a manifest of 5 MiB is refused while it comes") {
  registry.add_manifest("team/app", "big", std::string(5u << 20, ' '));
  std::string what;
  CHECK(code_of([&] { client().manifest(registry.reference("team/app:big")); }, &what) == ErrorCode::corrupt);
  CHECK(what.find("larger than") != std::string::npos);
}

TEST_CASE_FIXTURE(PullFixture, "blobs are streamed, verified and counted") {
  std::uint64_t last = 0;
  client().fetch_blob(ref, descriptor, layout.blobs(), [&](std::uint64_t bytes, std::uint64_t total) {
    CHECK(bytes > last);
    CHECK(total == blob.size());
    last = bytes;
  });
  CHECK(last == blob.size());
  CHECK(read_blob(layout.blobs(), descriptor.digest) == blob);
  fetch();
  CHECK(blob_requests() == 1);  // it is here already
}

TEST_CASE_FIXTURE(PullFixture, "small and empty blobs") {
  registry.add_blob("team/app", config);
  CHECK(client().fetch_small_blob(ref, descriptor_of(config)) == config);
  registry.add_blob("team/app", "");
  CHECK(client().fetch_small_blob(ref, descriptor_of("")).empty());
  Descriptor huge = descriptor;
  huge.size = 9u << 20;
  CHECK(code_of([&] { client().fetch_small_blob(ref, huge); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PullFixture, "a part of a blob") {
  CHECK(client().fetch_range(ref, descriptor, 1000, 70'000) == blob.substr(1000, 70'000));
  CHECK(client().fetch_range(ref, descriptor, blob.size() - 1, 1) == blob.substr(blob.size() - 1));
  CHECK_FALSE(client().fetch_range(ref, descriptor, blob.size() - 1, 2));
  CHECK_FALSE(client().fetch_range(ref, descriptor, 0, 0));
  CHECK_FALSE(client().fetch_range(ref, descriptor_of("none"), 0, 1));
}

TEST_CASE_FIXTURE(PullFixture, "a registry that does not give the part that was asked for gives none") {
  const std::string part = blob.substr(10, 100);
  const http::FakeResponse answers[] = {
      whole(),  // knows no Range
      {.status = 206, .body = part},
      {.status = 206, .headers = {{"Content-Range", "bytes 11-110/300000"}}, .body = part},
      {.status = 206, .headers = {{"Content-Range", "bytes 10-109/300000"}}, .body = part.substr(1)},
      {.status = 206, .headers = {{"Content-Range", "bytes 10-110/300000"}}, .body = part + "x"},
      {.status = 416},
      {.status = 200, .body = part},
  };
  for (const http::FakeResponse& answer : answers) {
    const std::size_t before = blob_requests();
    script_blobs({answer});
    CHECK_FALSE(client().fetch_range(ref, descriptor, 10, 100));
    CHECK(blob_requests() == before + 1);
  }
  registry.wants_token = true;
  CHECK(client().fetch_range(ref, descriptor, 10, 100) == part);
}

TEST_CASE_FIXTURE(PullFixture, "a missing blob") {
  std::string what;
  CHECK(code_of([&] { client().fetch_blob(ref, descriptor_of("none"), layout.blobs()); }, &what) ==
        ErrorCode::not_found);
  CHECK(what.find("BLOB_UNKNOWN") != std::string::npos);
}

TEST_CASE_FIXTURE(PullFixture, "blobs by sha512 are verified with it and stored under their sha256") {
  const Descriptor named = registry.add_blob_by_sha512("team/app", blob);
  script_blobs({{.body = blob.substr(0, 100'000), .stated_length = blob.size()}});  // and resumed
  CHECK(client().fetch_blob(ref, named, layout.blobs()) == sha256(blob));
  CHECK(read_blob(layout.blobs(), sha256(blob)) == blob);
  CHECK(client().fetch_small_blob(ref, registry.add_blob_by_sha512("team/app", config)) == config);

  Descriptor wrong = registry.add_blob_by_sha512("team/app", "right");
  registry.blobs["team/app@" + wrong.sha512] = "wrong";
  std::string what;
  CHECK(code_of([&] { client().fetch_blob(ref, wrong, layout.blobs()); }, &what) == ErrorCode::corrupt);
  CHECK(what.find("instead of " + wrong.sha512) != std::string::npos);
  CHECK_FALSE(layout.blobs().size(sha256("wrong")));

  wrong.data = "right";
  CHECK(client().fetch_blob(ref, wrong, layout.blobs()) == sha256("right"));
}

TEST_CASE_FIXTURE(PullFixture, "manifests by sha512") {
  Manifest image;
  image.config = registry.add_blob_by_sha512("team/app", config);
  const std::string body = to_json(image);
  Reference named = ref;
  named.tag.clear();
  named.sha512 = sha512(body);
  registry.manifests["team/app@" + named.sha512] = {std::string(media_type::kManifest), body};
  CHECK(client().manifest(named).digest == sha256(body));
  CHECK(client().resolve(named)->digest == sha256(body));
  registry.manifests["team/app@" + named.sha512].second = body + " ";
  CHECK(code_of([&] { client().manifest(named); }) == ErrorCode::corrupt);
  CHECK(code_of([&] { client().resolve(named); }) == ErrorCode::corrupt);

  registry.alter = [&](const http::FakeRequest&, http::FakeResponse& r) {
    for (auto& [name, value] : r.headers)
      if (name == "Docker-Content-Digest") value = sha512("other");
  };
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(PullFixture, "content of a descriptor is used when it is right") {
  Descriptor embedded = descriptor_of("embedded");
  embedded.data = "embedded";
  CHECK(client().fetch_small_blob(ref, embedded) == "embedded");
  CHECK(blob_requests() == 0);
  embedded.data = "embeddeD";
  CHECK(code_of([&] { client().fetch_small_blob(ref, embedded); }) == ErrorCode::not_found);
}

TEST_CASE_FIXTURE(PullFixture, "a reset in the middle is resumed by Range") {
  http::FakeResponse cut = whole();
  cut.reset_after = 100'000;
  script_blobs({cut});
  check_fetched();
  const std::vector<http::FakeRequest> log = registry.server->log();
  const std::string range = log.back().header("range");
  REQUIRE(range.starts_with("bytes="));
  const auto begin = parse_int(std::string_view(range).substr(6, range.size() - 7));
  REQUIRE(begin);
  CHECK(*begin > 0);
  CHECK(*begin <= 100'000);
  CHECK(warnings.size() == 1);
}

TEST_CASE_FIXTURE(PullFixture, "a short body is resumed too, with and without Content-Length") {
  http::FakeResponse shorter = whole(), open_end = {.body = blob.substr(0, 200'000), .no_length = true};
  shorter.body.resize(100'000);
  shorter.stated_length = blob.size();
  http::FakeResponse rest{.status = 206,
                          .headers = {{"Content-Range", cat("bytes 100000-299999/", blob.size())}},
                          .body = blob.substr(100'000, 50'000),
                          .no_length = true};
  script_blobs({shorter, rest, open_end});
  check_fetched();
  CHECK(blob_requests() == 4);
}

TEST_CASE_FIXTURE(PullFixture, "a server without Range sends all again") {
  http::FakeResponse cut = whole();
  cut.reset_after = 100'000;
  script_blobs({cut, whole()});
  check_fetched();
  CHECK(blob_requests() == 2);
}

TEST_CASE_FIXTURE(PullFixture, "a range that does not fit starts over") {
  http::FakeResponse cut = whole();
  cut.reset_after = 100'000;
  http::FakeResponse gap{
      .status = 206, .headers = {{"Content-Range", "bytes 150000-299999/300000"}}, .body = blob.substr(150'000)};
  script_blobs({cut, gap});
  check_fetched();
  CHECK(registry.server->log().back().header("range").empty());
}

TEST_CASE_FIXTURE(PullFixture, "416 starts over") {
  http::FakeResponse cut = whole();
  cut.reset_after = 100'000;
  script_blobs({cut, {.status = 416}});
  check_fetched();
}

TEST_CASE_FIXTURE(PullFixture, "an earlier range is read past the known part") {
  http::FakeResponse cut = whole();
  cut.reset_after = 100'000;
  http::FakeResponse early{.status = 206, .headers = {{"Content-Range", "bytes 0-299999/300000"}}, .body = blob};
  script_blobs({cut, early});
  check_fetched();
}

TEST_CASE_FIXTURE(PullFixture, "parts of two different files: once more in one piece") {
  http::FakeResponse cut = whole();
  cut.body[5] ^= 1;
  cut.reset_after = 100'000;
  script_blobs({cut});
  check_fetched();
  CHECK(blob_requests() == 3);
}

TEST_CASE_FIXTURE(PullFixture, "wrong content is corrupt, and nothing stays") {
  http::FakeResponse wrong = whole();
  wrong.body[299'999] ^= 1;
  script_blobs({wrong, wrong, wrong});
  CHECK(code_of([&] { fetch(); }) == ErrorCode::corrupt);
  CHECK_FALSE(layout.blobs().size(descriptor.digest));
  CHECK(blob_requests() == 2);  // it may have been damaged on the way
  CHECK(sys::list_dir(sys::open_at(dir.fd(), "store", O_RDONLY | O_DIRECTORY).get()) ==
        std::vector<std::string>{"blobs", "oci-layout"});
}

TEST_CASE_FIXTURE(PullFixture, "a wrong length is corrupt") {
  const http::FakeResponse longer{.body = blob + "x"}, longer_without_length{.body = blob + "x", .no_length = true};
  script_blobs({longer, longer});
  CHECK(code_of([&] { fetch(); }) == ErrorCode::corrupt);
  script_blobs({longer_without_length, longer_without_length});
  CHECK(code_of([&] { fetch(); }) == ErrorCode::corrupt);
  script_blobs({longer});
  check_fetched();
}
