// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "base/error.h"
#include "base/pattern/path_pattern.h"

namespace cbuild {

TEST_CASE("match_glob is Go's filepath.Match") {
  struct Case {
    const char *pattern, *path;
    bool matched;
  };
  const Case cases[] = {
      {"abc", "abc", true},
      {"*", "abc", true},
      {"*c", "abc", true},
      {"a*", "a", true},
      {"a*", "ab/c", false},
      {"a*/b", "abc/b", true},
      {"a*/b", "a/c/b", false},
      {"a*b*c*d*e*/f", "axbxcxdxe/f", true},
      {"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
      {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false},
      {"a*b?c*x", "abxbbxdbxebxczzx", true},
      {"a*b?c*x", "abxbbxdbxebxczzy", false},
      {"ab[c]", "abc", true},
      {"ab[b-d]", "abc", true},
      {"ab[e-g]", "abc", false},
      {"ab[^c]", "abc", false},
      {"ab[^e-g]", "abc", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "ab", false},
      {"a?b", "a\u263ab", true},
      {"a[^a]b", "a\u263ab", true},
      {"a???b", "a\u263ab", false},
      {"[a-\u03b6]*", "\u03b1", true},
      {"*[a-\u03b6]", "A", false},
      {"a?b", "a/b", false},
      {"a*b", "a/b", false},
      {"[\\]a]", "]", true},
      {"[\\-]", "-", true},
      {"[x\\-]", "x", true},
      {"[\\-x]", "a", false},
      {"*x", "xxx", true},
      {"", "", true},
      {"", "a", false},
      {"**", "a", true},
      {"**", "a/b", false},
      {"[^a]", "/", true},
      {"[b-a]", "b", false},
  };
  for (const Case& c : cases)
    CHECK_MESSAGE(match_glob(c.pattern, c.path) == c.matched, std::string(c.pattern), " ", std::string(c.path));
}

TEST_CASE("a malformed glob is not an answer") {
  for (const char* bad : {"[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a[b", "\\", "a\\", "[\\",
                          "[a\\", "[a-", "*[", "[]", "[\xff]"})
    CHECK_MESSAGE(match_glob(bad, "ab") == std::nullopt, std::string(bad));
}

TEST_CASE("a mistake behind a star is seen only by paths that get there, as in Go") {
  CHECK(match_glob("a*[", "b") == false);
  CHECK(match_glob("a*[", "ab") == std::nullopt);
}

TEST_CASE("has_glob sees unescaped wildcards") {
  for (const char* yes : {"*", "a?", "[a]", "\\\\*"}) CHECK_MESSAGE(has_glob(yes), std::string(yes));
  for (const char* no : {"", "a", "\\*", "\\[a]", "a]", "\\"}) CHECK_MESSAGE(!has_glob(no), std::string(no));
}

TEST_CASE("an escaped name matches itself alone") {
  for (const std::string name : {"a", "a[1]", "*", "?x", "[", "]*", "a\\b*", "\\[", "a\\*"}) {
    CAPTURE(name);
    if (has_glob(name)) {
      CHECK(match_glob(escape_glob(name), name) == true);
      CHECK(match_glob(escape_glob(name), name + "x") == false);
    } else {
      CHECK(escape_glob(name) == name);
    }
  }
  CHECK(match_glob(escape_glob("a[1]"), "a1") == false);
}

TEST_CASE("a path glob matches name by name and ** over names") {
  struct Case {
    const char *pattern, *path;
    bool matched;
  };
  const Case cases[] = {
      {"a/*.c", "a/x.c", true},     {"a/*.c", "a/b/x.c", false}, {"**/x.c", "x.c", true},
      {"**/x.c", "a/b/x.c", true},  {"a/**/x", "a/x", true},     {"a/**/x", "a/b/c/x", true},
      {"a/**/x", "b/a/x", false},   {"a/**", "a/b", true},       {"a/**", "a/b/c", true},
      {"a/**", "a", false},         {"**", "a/b", true},         {"**/**/x", "x", true},
      {"**/a/**/b", "a/a/b", true}, {"a**", "abc", true},        {"a**", "ab/c", false},
      {"/a/./b/", "a/b", true},     {"a/[^b]", "a/c", true},     {"a", "ab", false},
      {"a/b", "a", false},          {"*/b", "a/b/c", false},
  };
  for (const Case& c : cases)
    CHECK_MESSAGE(PathGlob(c.pattern).matches(c.path) == c.matched, std::string(c.pattern), " ", std::string(c.path));
  CHECK(PathGlob("a/*").pattern() == "a/*");
}

TEST_CASE("a path glob says which directories can be skipped") {
  const PathGlob fixed("src/*/test/*.c");
  for (const char* yes : {"", ".", "src", "src/a", "src/a/test"})
    CHECK_MESSAGE(fixed.could_match_below(yes), std::string(yes));
  for (const char* no : {"doc", "src/a/b", "src/a/test/x.c", "srcs"})
    CHECK_MESSAGE(!fixed.could_match_below(no), std::string(no));
  const PathGlob deep("src/**/x");
  for (const char* yes : {"src", "src/a/b/c", "src/x"}) CHECK_MESSAGE(deep.could_match_below(yes), std::string(yes));
  CHECK_FALSE(deep.could_match_below("a"));
  CHECK(PathGlob("a/**").could_match_below("a/b/c"));
}

TEST_CASE("a malformed path glob is refused by name") {
  for (const char* bad : {"a/[", "[", "a\\", "b*[-]"}) {
    try {
      PathGlob glob(bad);
      FAIL("accepted ", bad);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::input);
      CHECK(std::string(error.what()).find("invalid wildcard pattern \"") == 0);
    }
  }
}

TEST_CASE("hostile globs take quadratic time at most") {
  std::string stars;
  for (int i = 0; i < 20'000; ++i) stars += "*a";
  CHECK(match_glob(stars + "b", std::string(65'536, 'a')) == false);
  CHECK(match_glob("*" + std::string(30'000, 'a') + "b", std::string(65'536, 'a')) == false);
  std::string names;
  for (int i = 0; i < 500; ++i) names += "**/a/";
  std::string path;
  for (int i = 0; i < 1'000; ++i) path += "a/";
  CHECK_FALSE(PathGlob(names + "b").matches(path + "a"));
}

}  // namespace cbuild
