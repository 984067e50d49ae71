// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/expand_pattern.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

TEST_CASE("prefixes, shortest and longest") {
  struct {
    std::string pattern, value, shortest, longest;
  } const cases[] = {
      {"a", "aab", "ab", "ab"},
      {"*a", "xaxab", "xab", "b"},
      {"*", "abc", "abc", ""},
      {"a*b", "a1b2b3", "2b3", "3"},
      {"?", "xyz", "yz", "yz"},
      {"b", "abc", "abc", "abc"},
      {"", "abc", "abc", "abc"},
      {"*a*b", "aabab", "ab", ""},
      {"\\*", "*x", "x", "x"},
      {"\\?\\\\", "?\\x", "x", "x"},
      {"[a]", "ab", "ab", "ab"},
      {"[a]", "[a]b", "b", "b"},
      {"*\xC3\xA9",
       "a\xC3\xA9"
       "b\xC3\xA9",
       "b\xC3\xA9", ""},
      {"\\}\\/", "}/x", "x", "x"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.value);
    CHECK(WordPattern(c.pattern).trim_prefix(c.value, false) == c.shortest);
    CHECK(WordPattern(c.pattern).trim_prefix(c.value, true) == c.longest);
  }
}

TEST_CASE("suffixes, shortest and longest") {
  struct {
    std::string pattern, value, shortest, longest;
  } const cases[] = {
      {".*", "a.b.c", "a.b", "a"}, {"b", "abb", "ab", "ab"},
      {"b*", "abab", "aba", "a"},  {"*", "abc", "abc", ""},
      {"?", "ab", "a", "a"},       {"x\\*", "ax*", "a", "a"},
      {"a", "ab", "ab", "ab"},     {"\xC3\xA9?", "x\xC3\xA9z", "x", "x"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.value);
    CHECK(WordPattern(c.pattern).trim_suffix(c.value, false) == c.shortest);
    CHECK(WordPattern(c.pattern).trim_suffix(c.value, true) == c.longest);
  }
}

TEST_CASE("wildcards stay within a line") {
  CHECK(WordPattern("*b").trim_prefix("a\nb", true) == "a\nb");
  CHECK(WordPattern("*").trim_prefix("ab\ncd", true) == "\ncd");
  CHECK(WordPattern("?").trim_prefix("\nx", true) == "\nx");
  CHECK(WordPattern("a*\nb").trim_prefix("axx\nbc", true) == "c");
}

TEST_CASE("the leftmost, then longest match is replaced once") {
  CHECK(WordPattern("a").replace_first("banana", "o") == "bonana");
  CHECK(WordPattern("a*a").replace_first("banana", "-") == "b-");
  CHECK(WordPattern("x").replace_first("banana", "o") == "banana");
  CHECK(WordPattern("").replace_first("abc", "-") == "-abc");
  CHECK(WordPattern("*").replace_first("a\nb", "-") == "-\nb");
  CHECK(WordPattern("a").replace_first("a", "$0$1") == "$0$1");
}

TEST_CASE("all matches that do not overlap are replaced") {
  CHECK(WordPattern("a").replace_all("banana", "o") == "bonono");
  CHECK(WordPattern("aa").replace_all("aaaaa", "b") == "bba");
  CHECK(WordPattern("").replace_all("ab", "-") == "-a-b-");
  CHECK(WordPattern("*").replace_all("ab", "-") == "-");
  CHECK(WordPattern("*").replace_all("a\nb", "-") == "-\n-");
  CHECK(WordPattern("?").replace_all("\xC3\xA9x", ".") == "..");
  CHECK(WordPattern("a").replace_all("", "-") == "");
}

TEST_CASE("the replacement of all matches is a template of Go's regexp") {
  const auto replaced = [](const char* text) { return WordPattern("a").replace_all("xay", text); };
  CHECK(replaced("[$0]") == "x[a]y");
  CHECK(replaced("[${0}]") == "x[a]y");
  CHECK(replaced("[$1]") == "x[]y");
  CHECK(replaced("[$1z]") == "x[]y");
  CHECK(replaced("[${1}z]") == "x[z]y");
  CHECK(replaced("[$name]") == "x[]y");
  CHECK(replaced("$$1") == "x$1y");
  CHECK(replaced("$00") == "xy");
  CHECK(replaced("$.") == "x$.y");
  CHECK(replaced("$") == "x$y");
  CHECK(replaced("${a") == "x${ay");
  CHECK(replaced("${}") == "x${}y");
}

TEST_CASE("escapes that mean nothing are errors") {
  CHECK_THROWS_WITH_AS(WordPattern("\\x"), "invalid escape '\\x'", Error);
  CHECK_THROWS_WITH_AS(WordPattern("a\\"), "invalid escape '\\\xEF\xBF\xBD'", Error);
  CHECK_THROWS_WITH_AS(WordPattern("\\\xC3\xA9"), "invalid escape '\\\xC3\xA9'", Error);
}

TEST_CASE("no pattern takes exponential time") {
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "*a";
  const std::string value(5000, 'a');
  CHECK(WordPattern(stars + "b").trim_prefix(value, true) == value);
  CHECK(WordPattern(stars + "b").trim_suffix(value, true) == value);
  CHECK(WordPattern("a" + stars + "b").replace_all(value, "-") == value);
  CHECK(WordPattern(stars).trim_prefix(value, true).empty());
}

TEST_CASE("replacing cannot blow a value up without limit") {
  const std::string value(100'000, 'a');
  CHECK_THROWS_AS(WordPattern("a").replace_all(value, value), Error);
}

}  // namespace
}  // namespace cbuild::frontend
