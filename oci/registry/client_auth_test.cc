// SPDX-License-Identifier: Apache-2.0
// Accounts and tokens: how few are asked for, and where they must never be sent.
#include <doctest/doctest.h>

#include <thread>

#include "base/sys.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "oci/registry/auth.h"
#include "oci/registry/fake_registry.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

namespace {

const std::string kPassword = "correct-horse";

std::string manifest_body() {
  Manifest out;
  out.config = descriptor_of("{}");
  return to_json(out);
}

struct AuthFixture : ClientFixture {
  FakeRegistry registry;
  const std::string manifest = manifest_body();
  Reference ref = registry.reference("team/app:1");

  AuthFixture() { registry.add_manifest("team/app", "1", manifest); }
  ~AuthFixture() {
    CHECK(registry.violations == std::vector<std::string>{});
    for (const std::string& line : warnings) CHECK(line.find(kPassword) == std::string::npos);
  }
  void want_account(const std::string& user = "me") {
    registry.basic_user = user;
    registry.basic_password = kPassword;
  }
  std::size_t token_requests() const { return registry.server->count("GET", "/token"); }
  std::vector<http::FakeRequest> requests(const std::string& part) const {
    std::vector<http::FakeRequest> out;
    for (http::FakeRequest& r : registry.server->log()) {
      if (r.path.find(part) != std::string::npos) out.push_back(std::move(r));
    }
    return out;
  }
};

Endpoint endpoint(const char* base) { return {"r", *http::parse_url(base), false}; }

bool realm_refused(const char* base, const char* realm) {
  return code_of([&] { check_realm(endpoint(base), *http::parse_url(realm)); }) == ErrorCode::denied;
}

}  // namespace

TEST_CASE_FIXTURE(AuthFixture, "an anonymous token, once for many requests") {
  registry.wants_token = true;
  CHECK(client().manifest(ref).body == manifest);
  CHECK(client().manifest(ref).body == manifest);
  CHECK(client().resolve(ref));
  CHECK(token_requests() == 1);
  const http::FakeRequest token = requests("/token")[0];
  CHECK(token.header("authorization").empty());
  CHECK(token.params("scope") == std::vector<std::string>{"repository:team/app:pull"});
  CHECK(token.param("service") == "fake");
}

TEST_CASE_FIXTURE(AuthFixture, "Basic is used when it is asked for") {
  want_account();
  write_account(ref.registry, "me", kPassword);
  CHECK(client().manifest(ref).body == manifest);
  CHECK(client().manifest(ref).body == manifest);
  CHECK(requests("/manifests/").size() == 3);  // one 401 to learn of it
}

TEST_CASE_FIXTURE(AuthFixture, "a token with an account") {
  registry.wants_token = true;
  want_account();
  write_account(ref.registry, "me", kPassword);
  CHECK(client().manifest(ref).body == manifest);
  CHECK(token_requests() == 1);
}

TEST_CASE_FIXTURE(AuthFixture, "no account: denied, with the places that were searched") {
  want_account();
  std::string what;
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::denied);
  CHECK(what.find("no account found in " + *options.auth_file) != std::string::npos);
  CHECK(what.find("cbuild login " + ref.registry) != std::string::npos);
  CHECK(what.find("UNAUTHORIZED") != std::string::npos);
}

TEST_CASE_FIXTURE(AuthFixture, "an account is checked at the registry's root") {
  bool asks = true, token = false;
  SUBCASE("Basic") { want_account(); }
  SUBCASE("token") {
    want_account();
    token = true;
  }
  SUBCASE("nothing is asked for") { asks = false; }
  registry.wants_token = token;
  options.account = Credentials{"me", kPassword, {}};
  CHECK(client().check_account(ref.registry).was_asked == asks);
  std::string what;
  options.account->password = "wrong-password-1";
  Client other(options);
  const ErrorCode code = code_of([&] { other.check_account(ref.registry); }, &what);
  CHECK(code == (asks ? ErrorCode::denied : ErrorCode::internal));
  CHECK(what.find("wrong-password-1") == std::string::npos);
  if (!asks) return;
  CHECK(what.find(ref.registry) != std::string::npos);
  CHECK(what.find("the account from the command line") != std::string::npos);
  CHECK(what.find("cbuild login") == std::string::npos);  // that is what was tried
}

TEST_CASE_FIXTURE(AuthFixture, "a wrong password: denied, with the file and without the password") {
  want_account();
  const std::string wrong = "wrong-password-1";
  write_account(ref.registry, "me", wrong);
  std::string what;
  SUBCASE("Basic") { registry.wants_token = false; }
  SUBCASE("token") { registry.wants_token = true; }
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::denied);
  CHECK(what.find(*options.auth_file) != std::string::npos);
  CHECK(what.find(wrong) == std::string::npos);
}

TEST_CASE_FIXTURE(AuthFixture, "an echo of the password by the server is hidden") {
  want_account();
  write_account(ref.registry, "me", kPassword);
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.header("authorization").empty()) return std::nullopt;
    return error_response(403, "DENIED", "you sent " + r.header("authorization") + " that is me:" + kPassword);
  };
  std::string what;
  CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::denied);
  CHECK(what.find(kPassword) == std::string::npos);
  CHECK(what.find(base64_encode("me:" + kPassword)) == std::string::npos);
  CHECK(what.find("DENIED") != std::string::npos);
}

TEST_CASE_FIXTURE(AuthFixture, "a registry that says 401 for ever") {
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path == "/token" || r.path == "/v2/") return std::nullopt;
    http::FakeResponse out = error_response(401, "UNAUTHORIZED", "never");
    out.headers.emplace_back("WWW-Authenticate",
                             cat("Bearer realm=\"", registry.server->url("/token"), "\",service=\"fake\""));
    return out;
  };
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::denied);
  CHECK(requests("/manifests/").size() <= 4);
}

TEST_CASE_FIXTURE(AuthFixture, "a token that has been revoked is replaced") {
  registry.wants_token = true;
  client().manifest(ref);
  registry.tokens.clear();
  registry.tokens["unused"] = {};
  CHECK(client().manifest(ref).body == manifest);
  CHECK(token_requests() == 2);
}

TEST_CASE_FIXTURE(AuthFixture, "a token is renewed shortly before it expires, and not earlier") {
  registry.wants_token = true;
  std::int64_t now_ns = 0, lifetime_s = 60;  // that of the protocol, where the server says none
  options.clock_ns = [&] { return now_ns; };
  std::string stated;
  SUBCASE("no lifetime is stated") {}
  SUBCASE("five minutes") {
    lifetime_s = 300;
    stated = R"(,"expires_in":300)";
  }
  SUBCASE("less than the shortest") { stated = R"(,"expires_in":1)"; }
  registry.alter = [&](const http::FakeRequest& r, http::FakeResponse& answer) {
    if (r.path == "/token") answer.body = replace_all(answer.body, ",\"expires_in\":300", stated);
  };
  const auto pull_after = [&](std::int64_t seconds) {
    now_ns += seconds * 1'000'000'000;
    CHECK(client().manifest(ref).body == manifest);
    return token_requests();
  };
  CHECK(pull_after(0) == 1);
  CHECK(pull_after(lifetime_s / 2) == 1);
  CHECK(pull_after(lifetime_s / 2) == 2);
  CHECK(pull_after(lifetime_s / 2) == 2);
  CHECK(requests("/manifests/").size() == 5);  // one 401 to learn of tokens, none for one that has expired
}

TEST_CASE_FIXTURE(AuthFixture, "a challenge for more scope is answered with the merged one") {
  registry.wants_token = true;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path.find("/manifests/") == std::string::npos) return std::nullopt;
    const auto token = registry.tokens.find(
        std::string(r.header("authorization")).substr(std::min<std::size_t>(7, r.header("authorization").size())));
    const ScopeSet wanted("repository:team/app:pull repository:upstream/base:pull");
    if (token != registry.tokens.end() && token->second.covers(wanted)) return std::nullopt;
    http::FakeResponse out{.status = 401};
    out.headers.emplace_back(
        "WWW-Authenticate",
        cat("Bearer realm=\"", registry.server->url("/token"),
            R"(",service="fake",scope="repository:upstream/base:pull",error="insufficient_scope")"));
    return out;
  };
  CHECK(client().manifest(ref).body == manifest);
  CHECK(requests("/token").back().params("scope") ==
        std::vector<std::string>{"repository:team/app:pull", "repository:upstream/base:pull"});
}

TEST_CASE_FIXTURE(AuthFixture, "the same scope again with insufficient_scope is final") {
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path.find("/manifests/") == std::string::npos) return std::nullopt;
    http::FakeResponse out = error_response(401, "DENIED", "requested access is denied");
    out.headers.emplace_back("WWW-Authenticate",
                             cat("Bearer realm=\"", registry.server->url("/token"),
                                 R"(",service="fake",scope="repository:team/app:pull",error="insufficient_scope")"));
    return out;
  };
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::denied);
  CHECK(token_requests() == 1);
}

TEST_CASE_FIXTURE(AuthFixture, "a token for a pull is not sent with a push, one for a push is enough for a pull") {
  registry.wants_token = true;
  const ScopeSet pull = ScopeSet::pull("team/app"), push = ScopeSet::push("team/app");
  SUBCASE("pull, then push") {
    client().manifest(ref);
    client().push_manifest(ref, media_type::kManifest, manifest);
    client().manifest(ref);
    REQUIRE(registry.tokens.size() == 2);
    CHECK(registry.tokens.at("fake-token-0") == pull);
    CHECK(registry.tokens.at("fake-token-1") == push);
  }
  SUBCASE("push, then pull") {
    client().push_manifest(ref, media_type::kManifest, manifest);
    client().manifest(ref);
    REQUIRE(registry.tokens.size() == 1);
    CHECK(registry.tokens.at("fake-token-0") == push);
  }
  CHECK(registry.misused_tokens == 0);
}

TEST_CASE_FIXTURE(AuthFixture, "a token of one repository is not sent to another") {
  registry.wants_token = true;
  registry.add_manifest("team/other", "1", manifest);
  client().manifest(ref);
  client().manifest(registry.reference("team/other:1"));
  client().manifest(ref);
  CHECK(token_requests() == 2);
  CHECK(registry.misused_tokens == 0);
}

TEST_CASE_FIXTURE(AuthFixture, "a token of one account is not sent where another account holds") {
  registry.wants_token = true;
  const std::string host = registry.server->authority();
  const auto entry = [](const char* user) {
    return cat(R"({"auth":")", base64_encode(cat(user, ":", kPassword)), "\"}");
  };
  write_auth(cat(R"({"auths":{")", host, R"(/team":)", entry("one"), R"(,")", host, R"(/base":)", entry("two"), "}}"));
  registry.add_blob("base/os", "mount me");
  registry.add_manifest("base/os", "1", manifest);
  const Descriptor layer = put_blob(layout.blobs(), "mount me", std::string(media_type::kLayer));
  client().push_blob(ref, layer, layout.blobs(), registry.reference("base/os"));
  const std::vector<http::FakeRequest> pushing = requests("/token");
  REQUIRE(pushing.size() == 1);  // it covers a pull of base/os, for the mount
  CHECK(client().manifest(registry.reference("base/os:1")).body == manifest);
  const std::vector<http::FakeRequest> all = requests("/token");
  REQUIRE(all.size() == 2);
  CHECK(all[0].header("authorization") == "Basic " + base64_encode("one:" + kPassword));
  CHECK(all[1].header("authorization") == "Basic " + base64_encode("two:" + kPassword));
}

TEST_CASE_FIXTURE(AuthFixture, "threads wait for one token") {
  registry.wants_token = true;
  client();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { CHECK(client().manifest(ref).body == manifest); });
  }
  const test::Awaiting awaiting("the clients");
  for (std::thread& thread : threads) thread.join();
  CHECK(token_requests() == 1);
}

TEST_CASE_FIXTURE(AuthFixture, "an identity token is exchanged by POST") {
  registry.wants_token = true;
  write_auth(cat(R"({"auths":{")", ref.registry, R"(":{"identitytoken":"refresh me+"}}})"));
  std::string form;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path != "/token") return std::nullopt;
    CHECK(r.method == "POST");
    CHECK(r.header("content-type") == "application/x-www-form-urlencoded");
    form = r.body;
    registry.tokens["issued"] = ScopeSet::pull("team/app");
    return http::FakeResponse{.body = R"({"access_token":"issued"})"};
  };
  CHECK(client().manifest(ref).body == manifest);
  CHECK(form ==
        "grant_type=refresh_token&service=fake&client_id=cbuild&scope=repository%3Ateam%2Fapp%3Apull"
        "&refresh_token=refresh%20me%2B");
}

TEST_CASE_FIXTURE(AuthFixture, "a login asks for an identity token, by GET or POST, and only a login does") {
  registry.wants_token = true;
  bool posted = false;
  SUBCASE("GET") {}
  SUBCASE("POST") { posted = true; }
  std::vector<http::FakeRequest> asked;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path != "/token") return std::nullopt;
    if (posted && r.method == "GET") return http::FakeResponse{.status = 405};
    asked.push_back(r);
    registry.tokens["issued"] = ScopeSet::pull("team/app");
    return http::FakeResponse{.body = R"({"access_token":"issued","refresh_token":"identity"})"};
  };
  options.account = Credentials{"me", kPassword, {}};
  SUBCASE("login") {
    options.wants_identity = true;
    CHECK(client().check_account(ref.registry).identity_token == "identity");
    REQUIRE(asked.size() == 1);
    CHECK((posted ? asked[0].body.find("access_type=offline") != std::string::npos
                  : asked[0].param("offline_token") == "true" && asked[0].param("client_id") == "cbuild"));
  }
  SUBCASE("pull") {
    CHECK(client().manifest(ref).body == manifest);
    REQUIRE_FALSE(asked.empty());
    CHECK(asked[0].param("offline_token").empty());
    CHECK(asked[0].body.find("access_type") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(AuthFixture, "an account with an identity token sends no empty password") {
  registry.basic_user = "me";
  registry.basic_password = kPassword;
  write_auth(
      cat(R"({"auths":{")", ref.registry, R"(":{"auth":")", base64_encode("me:"), R"(","identitytoken":"refresh"}}})"));
  CHECK(code_of([&] { client().manifest(ref); }) == ErrorCode::denied);
  for (const http::FakeRequest& request : registry.server->log()) CHECK(request.header("authorization").empty());
}

TEST_CASE_FIXTURE(AuthFixture, "a token server that knows POST only gets the password by POST") {
  registry.wants_token = true;
  write_account(ref.registry, "me", kPassword);
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path != "/token") return std::nullopt;
    if (r.method == "GET") return http::FakeResponse{.status = 405};
    CHECK(r.body.find("grant_type=password") != std::string::npos);
    CHECK(r.body.find("password=" + kPassword) != std::string::npos);
    registry.tokens["issued"] = ScopeSet::pull("team/app");
    return http::FakeResponse{.body = R"({"access_token":"issued"})"};
  };
  CHECK(client().manifest(ref).body == manifest);
}

TEST_CASE_FIXTURE(AuthFixture, "a registry token is used as it is") {
  registry.wants_token = true;
  registry.tokens["given"] = ScopeSet::pull("team/app");
  write_auth(cat(R"({"auths":{")", ref.registry, R"(":{"registrytoken":"given"}}})"));
  CHECK(client().manifest(ref).body == manifest);
  CHECK(token_requests() == 0);
}

TEST_CASE_FIXTURE(AuthFixture, "Authorization never goes to another origin") {
  want_account();
  write_account(ref.registry, "me", kPassword);
  http::FakeServer storage([&](const http::FakeRequest& r) {
    CHECK(r.header("authorization").empty());
    return http::FakeResponse{.body = "blob"};
  });
  SUBCASE("Basic") { registry.wants_token = false; }
  SUBCASE("token") { registry.wants_token = true; }
  registry.add_blob("team/app", "blob");
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path.find("/blobs/") == std::string::npos || r.header("authorization").empty()) return std::nullopt;
    return http::FakeResponse{.status = 307, .headers = {{"Location", storage.url("/data?token=x")}}};
  };
  CHECK(client().fetch_small_blob(ref, descriptor_of("blob")) == "blob");
  CHECK(storage.log().size() == 1);
}

TEST_CASE_FIXTURE(AuthFixture, "a registry that stands in for another gets an anonymous token of its own") {
  want_account();
  write_account(ref.registry, "me", kPassword);
  FakeRegistry other;
  other.wants_token = true;
  other.add_manifest("team/app", "1", manifest);
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path.find("/manifests/") == std::string::npos) return std::nullopt;
    return http::FakeResponse{.status = 307, .headers = {{"Location", other.server->url(r.target)}}};
  };
  CHECK(client().manifest(ref).body == manifest);
  CHECK(other.server->count("GET", "/token") == 1);
  for (const http::FakeRequest& r : other.server->log())
    CHECK(r.header("authorization").find("Basic") == std::string::npos);
  CHECK(other.violations.empty());
}

TEST_CASE_FIXTURE(AuthFixture, "the token server is on another host: redirects there drop the account") {
  registry.wants_token = true;
  write_account(ref.registry, "me", kPassword);
  http::FakeServer elsewhere([&](const http::FakeRequest& r) {
    CHECK(r.header("authorization").empty());
    registry.tokens["issued"] = ScopeSet::pull("team/app");
    return http::FakeResponse{.body = R"({"token":"issued"})"};
  });
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path != "/token") return std::nullopt;
    CHECK_FALSE(r.header("authorization").empty());
    return http::FakeResponse{.status = 302, .headers = {{"Location", elsewhere.url("/t")}}};
  };
  CHECK(client().manifest(ref).body == manifest);
  CHECK(elsewhere.log().size() == 1);
}

TEST_CASE_FIXTURE(AuthFixture, "realms at odd places are not asked") {
  registry.wants_token = true;
  std::string what;
  for (const char* realm : {"http://169.254.169.254/latest/meta-data", "http://10.0.0.1/token", "file:///etc/passwd",
                            "http://[fe80::1]/t", "x", "http://u:p@127.0.0.1/"}) {
    CAPTURE(realm);
    registry.realm = realm;
    CHECK(code_of([&] { client().manifest(ref); }, &what) == ErrorCode::denied);
  }
}

TEST_CASE_FIXTURE(AuthFixture, "broken answers of a token server") {
  registry.wants_token = true;
  std::string body;
  registry.script = [&](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    return r.path == "/token" ? std::optional(http::FakeResponse{.body = body}) : std::nullopt;
  };
  for (const char* bad : {"", "[]", "{}", R"({"token":""})", R"({"token":5})", R"({"token":"a\r\nX: y"})"}) {
    CAPTURE(bad);
    body = bad;
    CHECK(code_of([&] { client().manifest(ref); }) != ErrorCode::internal);
  }
}

TEST_CASE_FIXTURE(AuthFixture, "a token server that fails for a moment is asked again") {
  registry.wants_token = true;
  registry.script = [n = 0](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
    return r.path == "/token" && n++ < 2 ? std::optional(http::FakeResponse{.status = 503}) : std::nullopt;
  };
  CHECK(client().manifest(ref).body == manifest);
}

TEST_CASE("which realms may be asked") {
  CHECK_FALSE(realm_refused("https://r.io", "https://auth.io/token"));
  CHECK_FALSE(realm_refused("https://10.0.0.1", "https://10.0.0.2/token"));
  CHECK_FALSE(realm_refused("https://r.io", "https://r.io:8443/token"));
  CHECK_FALSE(realm_refused("http://127.0.0.1:5000", "http://localhost:5001/token"));
  CHECK_FALSE(realm_refused("http://r.io", "http://auth.io/token"));
  CHECK_FALSE(realm_refused("https://169.254.1.1", "https://169.254.1.1/token"));
  CHECK(realm_refused("https://r.io", "http://auth.io/token"));
  CHECK(realm_refused("https://r.io", "https://10.0.0.1/token"));
  CHECK(realm_refused("https://r.io", "https://127.0.0.1/token"));
  CHECK(realm_refused("https://r.io", "https://localhost/token"));
  CHECK(realm_refused("https://r.io", "https://169.254.169.254/token"));
  CHECK(realm_refused("https://r.io", "https://2130706433/token"));
  CHECK(realm_refused("https://10.0.0.1", "https://127.0.0.1/token"));
}
