// SPDX-License-Identifier: Apache-2.0
#include "solver/sources/source_access.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

TEST_CASE("users, hosts and the text shown for a URL") {
  CHECK(user_info("https://u:p@h:8/x") == "u:p");
  CHECK(user_info("https://h/x@y") == "");
  CHECK(user_info("git@h:x") == "");
  CHECK(host_of("https://u:p@h.example:8/x", false) == "h.example");
  CHECK(host_of("https://u:p@h.example:8/x", true) == "h.example:8");
  CHECK(host_of("http://[::1]:80/x", false) == "[::1]");
  CHECK(host_of("git@h.example:path", false) == "h.example");
  CHECK(shown_url("https://u:p@h/x?token=abc&flag#main:sub") == "https://h/x?token=***&flag#main:sub");
  CHECK(shown_url("https://h/x") == "https://h/x");
}

TEST_CASE("the user of a URL is decoded before it is sent") {
  const auto basic = [](const std::string& pair) { return "Basic " + base64_encode(pair); };
  CHECK(basic_authorization("https://h/x") == "");
  CHECK(basic_authorization("https://u:p@h/x") == basic("u:p"));
  CHECK(basic_authorization("https://user%40corp:p%40ss%3A%2f%25+@h/x") == basic("user@corp:p@ss:/%+"));
  CHECK(basic_authorization("https://token@h/x") == basic("token:"));
  CHECK(basic_authorization("https://u%3Ax:y@h") == basic("u:x:y"));
  CHECK(basic_authorization("https://u:100%@h") == basic("u:100%"));
  CHECK(basic_authorization("https://u:%zz%4@h") == basic("u:%zz%4"));
  CHECK(basic_authorization("https://u:%41@h") == basic("u:A"));
}

}  // namespace
}  // namespace cbuild::solver::ops
