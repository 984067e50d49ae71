// SPDX-License-Identifier: Apache-2.0
// A registry and mirrors of it, as the files of podman, containerd and docker name them.
#include <algorithm>

#include "base/sys.h"
#include "oci/registry/pull_fixture.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

namespace {

/// The mirror has the same image; its name there is "cache/team/app".
struct MirrorFixture : PullFixture {
  FakeRegistry mirror;
  std::string file = dir.path() + "/registries.conf";

  void fill(const std::string& content_of_blob) {
    mirror.add_manifest("cache/team/app", "1", manifest);
    mirror.add_blob("cache/team/app", content_of_blob);
  }
  void use(const std::string& location, const std::string& more = {}) {
    sys::write_file_at(dir.fd(), "registries.conf",
                       cat("[[registry]]\nprefix = \"", ref.registry, "\"\n", more,
                           "[[registry.mirror]]\nlocation = \"", location, "\"\n"));
    options.files.registries_conf = {file};
  }
  void use_mirror(const std::string& more = {}) { use(mirror.server->authority() + "/cache", more); }
  std::string dead() const {
    std::string out;
    const http::FakeServer gone([](const http::FakeRequest&) { return http::FakeResponse{}; });
    return gone.authority();
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE_FIXTURE(MirrorFixture, "a mirror that has the image is all that is asked") {
  fill(blob);
  use_mirror();
  CHECK(client().manifest(ref).body == manifest);
  CHECK(client().resolve(ref)->digest == sha256(manifest));
  CHECK(client().fetch_range(ref, descriptor, 1, 4) == blob.substr(1, 4));
  fetch();
  check_fetched();
  CHECK(registry.server->log().empty());
  CHECK(warnings.empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "an image that the mirror lacks comes from the registry, without a word") {
  use_mirror();
  CHECK(client().manifest(ref).body == manifest);
  CHECK(client().resolve(ref)->digest == sha256(manifest));
  fetch();
  check_fetched();
  CHECK(mirror.server->count("GET", "/blobs/") == 1);
  CHECK(warnings.empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "a mirror that is down is told once, and not asked again soon") {
  use(dead());
  CHECK(client().manifest(ref).body == manifest);
  fetch();
  check_fetched();
  REQUIRE(warnings.size() == 1);
  CHECK(has(warnings[0], file));
  CHECK(has(warnings[0], cat("asking ", ref.name(), " instead")));
}

TEST_CASE_FIXTURE(MirrorFixture, "a mirror that refuses, fails or is busy is passed over without waiting") {
  http::FakeResponse answer{.status = 403};
  SUBCASE("403") {}
  SUBCASE("500") { answer.status = 500; }
  SUBCASE("429") { answer = {.status = 429, .headers = {{"Retry-After", "60"}}}; }
  SUBCASE("a page") { answer = {.headers = {{"Content-Type", "text/html"}}, .body = "<p>Sign in"}; }
  mirror.script = [&](const http::FakeRequest& r) { return r.path == "/v2/" ? std::nullopt : std::optional(answer); };
  use_mirror();
  CHECK(client().manifest(ref).body == manifest);
  fetch();
  check_fetched();
  CHECK_FALSE(warnings.empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "wrong content of a mirror is replaced and told") {
  fill(blob);
  mirror.alter = [&](const http::FakeRequest& r, http::FakeResponse& answer) {
    if (r.method == "GET" && is_blob(r)) answer.body[0] ^= 1;
  };
  use_mirror();
  fetch();
  check_fetched();
  const auto told = [&](const std::string& line) { return has(line, file) && has(line, descriptor.digest.str()); };
  CHECK(std::any_of(warnings.begin(), warnings.end(), told));
}

TEST_CASE_FIXTURE(MirrorFixture, "when all fail, the error has every place, its reason and the file") {
  use_mirror();
  const Reference missing = registry.reference("team/none:2");
  std::string what;
  CHECK(code_of([&] { client().manifest(missing); }, &what) == ErrorCode::not_found);
  INFO(what);
  CHECK(has(what, cat("pull of ", missing.familiar(), " from ", missing.name(), " (", file, "): HTTP 404")));
  CHECK(has(what, cat("; before that ", mirror.server->authority(), "/cache/team/none (", file,
                      "): HTTP 404 MANIFEST_UNKNOWN")));
}

TEST_CASE_FIXTURE(MirrorFixture, "a blocked name is neither read nor written, and nobody is asked") {
  use_mirror("blocked = true\n");
  std::string what;
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::denied);
  CHECK(has(what, cat("is blocked in ", file)));
  CHECK(code_of([&] { client().push_manifest(ref, media_type::kManifest, manifest); }, &what) == ErrorCode::denied);
  CHECK(has(what, cat("is blocked in ", file)));
  CHECK_FALSE(client().has_manifest(ref, sha256(manifest)));
  CHECK(registry.server->log().empty());
  CHECK(mirror.server->log().empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "pushes and what they look at first never see a mirror or another location") {
  SUBCASE("mirror") { use_mirror(); }
  SUBCASE("location") { use_mirror(cat("location = \"", mirror.server->authority(), "/other\"\n")); }
  const Digest own = oci::put_blob(layout.blobs(), "content", std::string(media_type::kManifest)).digest;
  client().push_blob(ref, descriptor_of("content"), layout.blobs(), std::nullopt);
  CHECK(registry.blobs.contains(cat("team/app@", own.str())));
  CHECK(client().has_manifest(ref, sha256(manifest)));
  client().push_manifest(ref, media_type::kManifest, manifest);
  CHECK(client().manifest(ref, Client::From::upstream).body == manifest);
  CHECK(mirror.server->log().empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "another location takes the place of the registry") {
  mirror.add_manifest("other/team/app", "1", manifest);
  sys::write_file_at(dir.fd(), "registries.conf",
                     cat("[[registry]]\nprefix = \"", ref.registry, "/team\"\nlocation = \"",
                         mirror.server->authority(), "/other/team\"\n"));
  options.files.registries_conf = {file};
  CHECK(client().manifest(ref).body == manifest);
  CHECK(registry.server->log().empty());
  CHECK(code_of([&] { client().manifest(registry.reference("team/none:2")); }) == ErrorCode::not_found);
  CHECK(registry.server->log().empty());
}

TEST_CASE_FIXTURE(MirrorFixture, "a mirror gets its own account and never the registry's") {
  mirror.basic_user = "near", mirror.basic_password = "nearby-secret";
  mirror.wants_token = true;
  registry.basic_user = "far", registry.basic_password = "faraway-secret";
  registry.wants_token = true;
  fill(blob);
  use_mirror();
  bool own_account = true;
  SUBCASE("with an account") {
    write_auth(cat(R"({"auths":{")", mirror.server->authority(), R"(":{"auth":")", base64_encode("near:nearby-secret"),
                   R"("},")", ref.registry, R"(":{"auth":")", base64_encode("far:faraway-secret"), R"("}}})"));
  }
  SUBCASE("without") {
    own_account = false;
    write_account(ref.registry, "far", "faraway-secret");
  }
  CHECK(client().manifest(ref).body == manifest);
  CHECK(registry.server->log().empty() == own_account);
  for (const http::FakeRequest& request : mirror.server->log())
    CHECK(request.header("authorization") != cat("Basic ", base64_encode("far:faraway-secret")));
}

TEST_CASE_FIXTURE(MirrorFixture, "hosts.toml: headers, root and namespace reach the mirror only") {
  std::vector<http::FakeRequest> seen;
  mirror.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    seen.push_back(r);
    if (r.path.find("/manifests/") == std::string::npos) return http::FakeResponse{.status = 404};
    return http::FakeResponse{.headers = {{"Content-Type", std::string(media_type::kManifest)}}, .body = manifest};
  };
  std::string name = ref.registry;
  name.replace(name.find(':'), 1, "_");
  sys::mkdir_all(dir.fd(), cat("certs/", name, "_"), 0755);
  sys::write_file_at(
      dir.fd(), cat("certs/", name, "_/hosts.toml"),
      cat("[host.\"http://", mirror.server->authority(), "/deep/root\"]\noverride_path = true\n[host.\"http://",
          mirror.server->authority(), "/deep/root\".header]\nX-Team = \"one\"\n"));
  options.files.hosts_dirs = {dir.path() + "/certs"};
  CHECK(client().manifest(ref).body == manifest);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].path == "/deep/root/team/app/manifests/1");
  CHECK(seen[0].param("ns") == ref.registry);
  CHECK(seen[0].header("x-team") == "one");
  fetch();
  check_fetched();
  CHECK(registry.server->log().back().header("x-team").empty());
  CHECK(registry.server->log().back().param("ns").empty());
}
