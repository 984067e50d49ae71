// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/json_form.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

std::optional<Strings> words_of(std::string_view text) {
  const auto strings = parse_json_form(text);
  if (!strings) return std::nullopt;
  Strings values;
  for (const JsonString& string : *strings) values.push_back(string.value);
  return values;
}

TEST_CASE("arrays of strings") {
  CHECK(words_of("[]") == Strings{});
  CHECK(words_of("[ ]") == Strings{});
  CHECK(words_of("[\"\"]") == Strings{""});
  CHECK(words_of(" [\t\"a\" ,\"b\"\r] ") == Strings{"a", "b"});
  CHECK(words_of("\xC2\xA0[\"a\"]") == Strings{"a"});
}

TEST_CASE("escapes") {
  CHECK(words_of(R"(["\" \\ \/ \b \f \n \r \t"])") == Strings{"\" \\ / \b \f \n \r \t"});
  CHECK(words_of(R"(["\u0041\u00e9\u20AC"])") == Strings{"A\xC3\xA9\xE2\x82\xAC"});
  CHECK(words_of(R"(["\u0000"])") == Strings{std::string(1, '\0')});
  CHECK(words_of(R"(["\ud83d\ude00"])") == Strings{"\xF0\x9F\x98\x80"});
}

TEST_CASE("half a surrogate pair and bad UTF-8 become replacement characters") {
  const std::string fffd = "\xEF\xBF\xBD";
  CHECK(words_of(R"(["\ud83d"])") == Strings{fffd});
  CHECK(words_of(R"(["\ude00"])") == Strings{fffd});
  CHECK(words_of(R"(["\ud83dx"])") == Strings{fffd + "x"});
  CHECK(words_of(R"(["\ud83d\u0041"])") == Strings{fffd + "A"});
  CHECK(words_of(R"(["\ud83d\ud83d\ude00"])") == Strings{fffd + "\xF0\x9F\x98\x80"});
  CHECK(words_of("[\"a\xFF\"]") == Strings{"a" + fffd});
}

TEST_CASE("text that is not JSON is another form") {
  for (const char* text :
       {"", "a", "\"a\"", "{}", "['a']", "[\"a\"", "[\"a\"] x", "[\"a\",]", "[,\"a\"]", "[\"a\" \"b\"]", R"(["\x"])",
        R"(["\u12"])", "[\"a\tb\"]", "[\"a]", "[1e999]", "[01]", "[nul]", "[", "[1,]"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json_form(text));
  }
}

TEST_CASE("valid JSON with something else than strings is an error") {
  for (const char* text : {"[1]", "[\"a\",42,\"b\"]", "[-1.5e+3]", "[null]", "[true, false]", "[[\"a\"]]",
                           "[{\"a\":[1,{}]}]", "[\"a\",{}]", "[0]", "[1e-999]"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(parse_json_form(text),
                         "when using JSON array syntax, arrays must be comprised of strings only", Error);
  }
}

TEST_CASE("places of the strings include their quotes") {
  const std::string text = " [\"ab\", \"\\u0041\"]";
  const auto strings = parse_json_form(text);
  REQUIRE(strings);
  CHECK((*strings)[0].range.of(text) == "\"ab\"");
  CHECK((*strings)[1].range.of(text) == "\"\\u0041\"");
}

TEST_CASE("nesting costs no stack and has Go's limit") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(is_json_value(nested(10000)));
  CHECK_FALSE(is_json_value(nested(10001)));
  CHECK_FALSE(is_json_value(std::string(5'000'000, '[')));
  CHECK_FALSE(is_json_value("[]]"));
  CHECK_FALSE(is_json_value("{\"a\" 1}"));
  CHECK(is_json_value("{\"a\":1,\"b\":[{}]}"));
}

}  // namespace
}  // namespace cbuild::frontend
