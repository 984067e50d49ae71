// SPDX-License-Identifier: Apache-2.0
#include "engine/request/source_policy.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::engine {
namespace {

std::string outcome(const std::string& rules, const std::string& identifier) {
  try {
    return SourcePolicy::parse("{\"version\": 1, \"rules\": [" + rules + "]}").apply({identifier, {}}).identifier;
  } catch (const Error& error) {
    return error.code() == ErrorCode::denied ? "denied" : error.what();
  }
}

}  // namespace

TEST_CASE("of the rules that allow or deny a source the last one decides") {
  const std::string deny = R"({"action": "DENY", "selector": {"identifier": "docker-image://*"}})";
  const std::string allow =
      R"({"action": "ALLOW", "selector": {"identifier": "docker-image://docker.io/library/a:*"}})";
  CHECK(outcome(deny, "docker-image://docker.io/library/a:1") == "denied");
  CHECK(outcome(deny, "https://h/f") == "https://h/f");
  CHECK(outcome(deny + "," + allow, "docker-image://docker.io/library/a:1") == "docker-image://docker.io/library/a:1");
  CHECK(outcome(deny + "," + allow, "docker-image://docker.io/library/b:1") == "denied");
  CHECK(outcome(allow + "," + deny, "docker-image://docker.io/library/a:1") == "denied");
  CHECK(outcome(R"({"action": 1, "selector": {"identifier": "x", "match_type": 1}})", "xx") == "xx");
}

TEST_CASE("a source is converted, and the rules start over") {
  CHECK(outcome(R"({"action": "CONVERT", "selector": {"identifier": "docker-image://docker.io/library/a:*"},
                    "updates": {"identifier": "docker-image://mirror/a:${1}-slim"}},
                   {"action": "DENY", "selector": {"identifier": "docker-image://docker.io/*"}})",
                "docker-image://docker.io/library/a:1") == "docker-image://mirror/a:1-slim");
  CHECK(outcome(R"({"action": "CONVERT", "selector": {"identifier": "^https://([a-z]+)/", "match_type": "REGEX"},
                    "updates": {"identifier": "https://mirror/$1/"}})",
                "https://host/f")
            .ends_with("without end"));
  CHECK(outcome(R"({"action": "CONVERT", "selector": {"identifier": "^https://host/(.*)$", "match_type": "REGEX"},
                    "updates": {"identifier": "https://mirror/$1"}})",
                "https://host/f") == "https://mirror/f");
  CHECK(outcome(R"json({"action": "CONVERT", "selector": {"identifier": "x([0-9])", "matchType": "REGEX"},
                    "updates": {"identifier": "y$1"}})json",
                "x1/x2/x") == "y1/y2/x");
  CHECK(outcome(R"({"action": "CONVERT", "selector": {"identifier": "a.c", "match_type": "EXACT"},
                    "updates": {"identifier": "b$1"}})",
                "a.c") == "b$1");
}

TEST_CASE("constraints look at attributes, updates set them") {
  const SourcePolicy policy = SourcePolicy::parse(R"({"rules": [
    {"action": "CONVERT", "selector": {"identifier": "https://h/*", "constraints": [{"key": "k", "value": "", "condition": "EQUAL"}]},
     "updates": {"identifier": "https://h/${1}", "attrs": {"k": "v"}}},
    {"action": "DENY", "selector": {"identifier": "https://h/bad", "constraints": [{"key": "k", "value": "^v", "condition": "MATCHES"}]}}]})");
  CHECK(policy.apply({"https://h/f", {}}).attributes.at("k") == "v");
  CHECK_THROWS_AS(policy.apply({"https://h/bad", {}}), Error);
}

TEST_CASE("a file that is not a policy is refused") {
  for (const char* text : {"", "[]", R"({"rules": 1})", R"({"rules": [{}]})",
                           R"({"rules": [{"action": "MAYBE", "selector": {"identifier": "x"}}]})",
                           R"({"rules": [{"action": "CONVERT", "selector": {"identifier": "x"}}]})",
                           R"({"rules": [{"selector": {"identifier": "a**"}}]})",
                           R"({"rules": [{"selector": {"identifier": "(", "match_type": "REGEX"}}]})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(SourcePolicy::parse(text), Error);
  }
}

}  // namespace cbuild::engine
