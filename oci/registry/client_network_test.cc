// SPDX-License-Identifier: Apache-2.0
// Failures on the way: retries, limits, redirects, proxies, cancels, many threads.
#include <cstdlib>
#include <thread>

#include "base/sys.h"
#include "base/test_wait.h"
#include "oci/registry/pull_fixture.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

TEST_CASE_FIXTURE(PullFixture, "errors of the server are tried again, so many times") {
  script_blobs({error_response(500, "UNKNOWN", "x"), error_response(503, "UNAVAILABLE", "x")});
  check_fetched();
  CHECK(warnings.size() == 2);
  CHECK(warnings[0].find("UNKNOWN") != std::string::npos);
}

TEST_CASE_FIXTURE(PullFixture, "attempts run out") {
  options.max_attempts = 3;
  script_blobs(std::vector<http::FakeResponse>(10, error_response(500, "UNKNOWN", "disk on fire")));
  std::string what;
  CHECK(code_of([&] { fetch(); }, &what) == ErrorCode::network);
  CHECK(what.find("disk on fire") != std::string::npos);
  CHECK(blob_requests() == 3);
}

TEST_CASE_FIXTURE(PullFixture, "429 with Retry-After 0 and 1") {
  registry.script = [n = 0](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
    if (!is_manifest(r) || n == 2) return std::nullopt;
    return http::FakeResponse{.status = 429, .headers = {{"Retry-After", std::to_string(n++)}}};
  };
  const std::int64_t before = sys::monotonic_ns();
  CHECK(client().manifest(ref).body == manifest);
  CHECK(sys::monotonic_ns() - before >= 1'000'000'000);
  CHECK(registry.server->count("GET", "/manifests/") == 3);
}

TEST_CASE_FIXTURE(PullFixture, "a pull quota is not a reason to go on asking") {
  registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (!is_manifest(r)) return std::nullopt;
    return error_response(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.");
  };
  std::string what;
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::network);
  CHECK(what.find("pull rate limit") != std::string::npos);
  CHECK(registry.server->count("GET", "/manifests/") == 1);
}

TEST_CASE_FIXTURE(PullFixture, "a transfer that stalls is broken off and resumed") {
  options.limits.window = std::chrono::seconds(3);
  http::FakeResponse stall = whole();
  stall.stall_after = 100'000;
  script_blobs({stall});
  check_fetched();
  CHECK(blob_requests() == 2);
}

TEST_CASE_FIXTURE(PullFixture, "a cancel ends a transfer at once") {
  CancelSource cancel;
  options.cancel = &cancel;
  http::FakeResponse stall = whole();
  stall.stall_after = 100'000;
  script_blobs({stall});
  const auto until_first_byte = [&](std::uint64_t, std::uint64_t) { cancel.cancel(); };
  CHECK(code_of([&] { client().fetch_blob(ref, descriptor, layout.blobs(), until_first_byte); }) ==
        ErrorCode::cancelled);
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::cancelled);
}

TEST_CASE_FIXTURE(PullFixture, "redirects to storage, relative and absolute") {
  http::FakeServer storage([&](const http::FakeRequest&) { return whole(); });
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path == "/hop")
      return http::FakeResponse{.status = 307, .headers = {{"Location", storage.url("/data?sig=1")}}};
    if (!is_blob(r)) return std::nullopt;
    return http::FakeResponse{.status = 302, .headers = {{"Location", "/hop"}}, .body = "<html>moved</html>"};
  };
  check_fetched();
  REQUIRE(storage.log().size() == 1);
  CHECK(storage.log()[0].target == "/data?sig=1");
}

TEST_CASE_FIXTURE(PullFixture, "a storage URL that has expired is asked for again") {
  http::FakeServer storage(
      [&](const http::FakeRequest& r) { return r.target == "/0" ? http::FakeResponse{.status = 403} : whole(); });
  registry.script = [&, n = 0](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
    if (!is_blob(r)) return std::nullopt;
    return http::FakeResponse{.status = 307, .headers = {{"Location", storage.url(cat("/", n++))}}};
  };
  check_fetched();
  CHECK(storage.log().size() == 2);
}

TEST_CASE_FIXTURE(PullFixture, "redirects end, and never lead to odd places") {
  std::string target = "/v2/team/app/manifests/1";
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path == "/v2/") return std::nullopt;
    return http::FakeResponse{.status = 307, .headers = {{"Location", target}}};
  };
  std::string what;
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::network);
  CHECK(what.find("too many redirects") != std::string::npos);
  for (const char* odd : {"file:///etc/passwd", "http://169.254.169.254/latest/", "gopher://x/", "http://u:p@x/"}) {
    CAPTURE(odd);
    target = odd;
    CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::network);
  }
}

TEST_CASE_FIXTURE(PullFixture, "foreign layers come from their own URLs, without an account") {
  http::FakeServer elsewhere([&](const http::FakeRequest& r) {
    CHECK(r.header("authorization").empty());
    return http::FakeResponse{.body = "foreign"};
  });
  registry.basic_user = "u";
  registry.basic_password = "secret-pw";
  write_account(ref.registry, "u", "secret-pw");
  Descriptor layer = descriptor_of("foreign");
  layer.urls = {"nonsense", elsewhere.url("/layer")};
  CHECK(client().fetch_small_blob(ref, layer) == "foreign");
}

TEST_CASE_FIXTURE(PullFixture, "warnings of the registry are passed on once each") {
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path == "/v2/") return std::nullopt;
    return http::FakeResponse{
        .headers = {{"Warning", R"(299 - "this \"thing\" is old")"}, {"Warning", R"(110 x "no")"}}, .body = manifest};
  };
  client().manifest(ref);
  client().manifest(ref);
  CHECK(warnings == std::vector<std::string>{R"(this "thing" is old)"});
}

TEST_CASE_FIXTURE(PullFixture, "many threads share one client") {
  options.max_connections_per_host = 3;
  std::vector<std::string> contents;
  for (int i = 0; i < 16; ++i) contents.push_back(varied_content(20'000) + std::to_string(i));
  for (const std::string& one : contents) registry.add_blob("team/app", one);
  client();
  std::vector<std::thread> threads;
  std::vector<std::string> got(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    threads.emplace_back([&, i] { got[i] = client().fetch_small_blob(ref, descriptor_of(contents[i])); });
  }
  const test::Awaiting awaiting("the clients");
  for (std::thread& thread : threads) thread.join();
  CHECK(got == contents);
}

TEST_CASE_FIXTURE(ClientFixture, "nobody listens") {
  std::string gone;
  {
    const http::FakeServer server([](const http::FakeRequest&) { return http::FakeResponse{}; });
    gone = server.authority();
  }
  std::string what;
  CHECK(code_of([&] { client().manifest(parse_reference(gone + "/x")); }, &what) == ErrorCode::network);
  CHECK(what.find(gone) != std::string::npos);
  CHECK(warnings.size() == 1);
}

TEST_CASE_FIXTURE(PullFixture, "names are resolved and no thread stays behind") {
  const auto threads = [] {
    return sys::list_dir(sys::open_at(AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY).get()).size();
  };
  const std::string port = registry.server->authority().substr(10);
  const std::size_t before = threads();
  {
    Client other(options);
    CHECK(other.manifest(parse_reference("localhost:" + port + "/team/app:1")).body == manifest);
  }
  CHECK(threads() <= before + 2);  // the fake's own, one a connection
}

TEST_CASE_FIXTURE(PullFixture, "a plain registry is reached by a machine without authorities") {
  ::setenv("SSL_CERT_FILE", (dir.path() + "/none.pem").c_str(), 1);
  const ScopeExit restore([] { ::unsetenv("SSL_CERT_FILE"); });
  CHECK(client().manifest(ref).body == manifest);
  CHECK(warnings.empty());
}

TEST_CASE_FIXTURE(PullFixture, "a proxy of the environment is used, but not for loopback") {
  http::FakeServer proxy([&](const http::FakeRequest& r) {
    if (r.method == "CONNECT") return http::FakeResponse{.status = 403};
    CHECK(r.target.starts_with("http://registry.invalid:5000/v2/"));
    if (r.target.ends_with("/v2/")) return http::FakeResponse{};
    return http::FakeResponse{.headers = {{"Content-Type", std::string(media_type::kManifest)}}, .body = manifest};
  });
  const char* name = "http_proxy";
  SUBCASE("lower case") { name = "http_proxy"; }
  SUBCASE("upper case") { name = "HTTP_PROXY"; }
  ::setenv(name, proxy.url("").c_str(), 1);
  ::setenv("https_proxy", proxy.url("").c_str(), 1);
  const ScopeExit restore([&] {
    ::unsetenv(name);
    ::unsetenv("https_proxy");
  });
  options.insecure = {"registry.invalid:5000"};
  CHECK(client().manifest(parse_reference("registry.invalid:5000/team/app:1")).body == manifest);
  const std::size_t through_proxy = proxy.log().size();
  CHECK(client().manifest(ref).body == manifest);
  CHECK(proxy.log().size() == through_proxy);
}
