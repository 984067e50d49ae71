// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/challenge.h"

#include <doctest/doctest.h>

using namespace cbuild::oci::registry;
using Params = std::map<std::string, std::string>;

TEST_CASE("one challenge with quoted values") {
  const auto all = parse_challenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")");
  REQUIRE(all.size() == 1);
  CHECK(all[0].scheme == "bearer");
  CHECK(all[0].params == Params{{"realm", "https://auth.docker.io/token"},
                                {"service", "registry.docker.io"},
                                {"scope", "repository:a/b:pull,push"}});
}

TEST_CASE("several challenges in one header") {
  const auto all =
      parse_challenges(R"(Negotiate, Basic realm="a, b=\"c\\", NTLM YWJj==, bEaReR Realm = "x" , error=y)");
  REQUIRE(all.size() == 4);
  CHECK(all[0] == Challenge{"negotiate", {}});
  CHECK(all[1] == Challenge{"basic", {{"realm", R"(a, b="c\)"}}});
  CHECK(all[2] == Challenge{"ntlm", {}});
  CHECK(all[3] == Challenge{"bearer", {{"realm", "x"}, {"error", "y"}}});
}

TEST_CASE("sloppy headers of real registries") {
  CHECK(parse_challenges("Bearer realm=https://x/token,service=y")[0].params ==
        Params{{"realm", "https://x/token"}, {"service", "y"}});
  CHECK(parse_challenges(R"(Bearer realm="x",,service="y",)")[0].params.size() == 2);
  CHECK(parse_challenges(R"(Bearer realm="x" service="y")")[0].params.size() == 2);
}

TEST_CASE("nonsense does not hang or crash") {
  CHECK(parse_challenges("").empty());
  CHECK(parse_challenges(" , ,").empty());
  CHECK(parse_challenges("=").empty());
  CHECK(parse_challenges("\"\"\"").empty());
  CHECK(parse_challenges(R"(Bearer realm=")")[0].params == Params{{"realm", ""}});
  CHECK(parse_challenges(R"(Bearer realm="a\)")[0].params.size() == 1);
  CHECK(parse_challenges("Bearer realm=")[0].params == Params{{"realm", ""}});
  CHECK(parse_challenges("\xff\xfe Basic").size() == 1);
}

TEST_CASE("scopes merge by resource") {
  ScopeSet scopes("repository:a:pull repository:b:push,pull");
  scopes.add("repository:a:push");
  CHECK(scopes.texts() == std::vector<std::string>{"repository:a:pull,push", "repository:b:pull,push"});
  CHECK(scopes.covers(ScopeSet::pull("a")));
  CHECK(scopes.covers(ScopeSet::push("b")));
  CHECK_FALSE(scopes.covers(ScopeSet::pull("c")));
  CHECK_FALSE(ScopeSet::pull("a").covers(scopes));
  CHECK(scopes.covers({}));
}

TEST_CASE("scope names may hold colons and plain words are skipped") {
  CHECK(ScopeSet("repository:host:5000/app:pull").texts() == std::vector<std::string>{"repository:host:5000/app:pull"});
  CHECK(ScopeSet("openid aws  : repository:x").texts().empty());
  CHECK(ScopeSet("registry:catalog:*").texts() == std::vector<std::string>{"registry:catalog:*"});
}
