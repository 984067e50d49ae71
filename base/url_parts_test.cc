// SPDX-License-Identifier: Apache-2.0
#include "base/url_parts.h"

#include <doctest/doctest.h>

namespace cbuild {

TEST_CASE("a URL is taken apart as it is written") {
  const auto url = split_url("HTTPS://u:p@Host:8443/a/b%20c?x=1#main:dir");
  REQUIRE(url);
  CHECK(url->scheme == "HTTPS");
  CHECK(url->user_info == "u:p");
  CHECK(url->authority == "Host:8443");
  CHECK(url->host() == "Host");
  CHECK(url->path == "/a/b%20c");
  CHECK(url->query == "?x=1");
  CHECK(url->fragment == "#main:dir");
}

TEST_CASE("parts of a URL may be missing, and marks count once") {
  const auto bare = split_url("ssh://h");
  REQUIRE(bare);
  CHECK_FALSE(bare->user_info);
  CHECK((bare->authority == "h" && bare->path.empty() && bare->query.empty() && bare->fragment.empty()));
  const auto odd = split_url("http://h?a/b?c#d?e#f");
  REQUIRE(odd);
  CHECK((odd->authority == "h" && odd->path.empty() && odd->query == "?a/b?c" && odd->fragment == "#d?e#f"));
  const auto address = split_url("http://[::1]:80/x@y");
  REQUIRE(address);
  CHECK((address->host() == "[::1]" && address->path == "/x@y" && !address->user_info));
}

TEST_CASE("text without a scheme is not a URL") {
  for (const char* text : {"", "://h", "h/p", "git@h:p", "git@h:p://x", "1a://h", "a b://h", "x#y://h", "http:/h"})
    CHECK_MESSAGE(!split_url(text), std::string(text));
  CHECK(split_url("git+ssh://h")->scheme == "git+ssh");
}

TEST_CASE("the user ends at the last @ of the authority") {
  CHECK(without_user_info("https://u:p@ss@h:8/x?q#f") == "https://h:8/x?q#f");
  CHECK(without_user_info("https://u@h") == "https://h");
  CHECK(without_user_info("https://@h") == "https://h");
  CHECK(without_user_info("https://h/a@b") == "https://h/a@b");
  CHECK(without_user_info("https://h?a@b") == "https://h?a@b");
  CHECK(without_user_info("git@h:x") == "git@h:x");
}

TEST_CASE("percent escapes are decoded, other percent signs stay") {
  CHECK(percent_decode("a%20b%2f%C3%A9") == "a b/\u00e9");
  CHECK(percent_decode("%") == "%");
  CHECK(percent_decode("%4") == "%4");
  CHECK(percent_decode("%+1%g0%0g%41") == "%+1%g0%0gA");
  for (const char* whole : {"", "a", "%41", "a%2Fb%00"}) CHECK(has_whole_escapes(whole));
  for (const char* broken : {"%", "%4", "%41%", "%-1", "%0g"}) CHECK_FALSE(has_whole_escapes(broken));
}

}  // namespace cbuild
