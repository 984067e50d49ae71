// SPDX-License-Identifier: Apache-2.0
// Ignore patterns mean what moby/patternmatcher makes of them, asked whole and by a walk; hostile ones must not take
// exponential time.
#include "base/pattern/path_pattern.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild {

namespace {

using Strings = std::vector<std::string>;

bool ignored(const Strings& patterns, std::string_view path) { return PathPatternList(patterns).matches(path); }

/// The answer of a walk that goes down from the root and hands each directory's verdicts on.
bool ignored_by_walk(const PathPatternList& list, const std::string& path) {
  PathPatternList::ParentMatch parent, self;
  bool matched = false;
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end == 0 ? 0 : end + 1);
    matched = list.matches(std::string_view(path).substr(0, end), parent, self);
    std::swap(parent, self);
  }
  return matched;
}

std::string times(std::string_view text, std::size_t count) {
  std::string out;
  while (count-- > 0) out += text;
  return out;
}

struct Case {
  const char *pattern, *path;
  bool matched;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    CHECK_MESSAGE(ignored({c.pattern}, c.path) == c.matched, std::string(c.pattern), " ", std::string(c.path));
    CHECK_MESSAGE(ignored_by_walk(PathPatternList({c.pattern}), c.path) == c.matched, std::string(c.pattern), " ",
                  std::string(c.path));
  }
}

}  // namespace

TEST_CASE("names without wildcards match themselves and the paths below") {
  check({{"a", "a", true},
         {"a", "a/b/c", true},
         {"a", "ab", false},
         {"a", "b/a", false},
         {"a/b", "a/b/c", true},
         {"a/b", "a", false},
         {"a", "A", false},
         {"a.c", "abc", false}});
}

TEST_CASE("wildcards stay inside a name") {
  check({{"*", "a", true},
         {"*.c", "x.c", true},
         {"*.c", "d/x.c", false},
         {"*/x", "a/x", true},
         {"*/x", "a/b/x", false},
         {"a?c", "abc", true},
         {"a?c", "a/c", false},
         {"a?", "a\u00e9", true},
         {"a*", "abc/d", true},
         {"[a-c]x", "bx", true},
         {"[^a-c]x", "bx", false},
         {"[^a]b", "\u00e9b", true},
         {"\\*", "*", true},
         {"\\*", "a", false},
         {"a\\[b", "a[b", true}});
}

TEST_CASE("two stars span directories") {
  check({{"**", "a/b", true},           {"**/", "a/b", true},        {"**/x", "x", true},
         {"**/x", "a/b/x", true},       {"**/x", "a/x/y", true},     {"**/x", "ax", false},
         {"**x", "a/bx", true},         {"a/**", "a/b", true},       {"a/**", "a", false},
         {"a**", "ab/c", true},         {"a/**/x", "a/x", true},     {"a/**/x", "a/b/c/x", true},
         {"a/**/x", "ab/x", false},     {"**/*.c", "x.c", true},     {"**/*.c", "a/b.c/d", true},
         {"**/*.c", "a/b.cc", false},   {"**/a*/b", "x/ay/b", true}, {"a/**/b/**/c", "a/1/b/2/3/c", true},
         {"a/**/b/**/c", "a/c", false}, {"a**/*c/", "ab/xc", true},  {"***", "a/b", true}});
}

TEST_CASE("patterns are trimmed and cleaned; the leading slash of an ignore file is dropped by its reader") {
  check({{" a/ ", "a", true},
         {"./a//b/../c", "a/c", true},
         {"", "a", false},
         {"  ", "a", false},
         {".", "a", false},
         {"/a", "a", false},
         {"../a", "a", false}});
  CHECK(PathPatternList({"", " "}).empty());
  CHECK(PathPatternList().empty());
  CHECK_FALSE(PathPatternList().matches("a"));
}

TEST_CASE("the last match wins") {
  CHECK(ignored({"*.md", "!README.md"}, "x.md"));
  CHECK_FALSE(ignored({"*.md", "!README.md"}, "README.md"));
  CHECK(ignored({"*.md", "!README*.md", "README-secret.md"}, "README-secret.md"));
  CHECK(ignored({"!README.md", "*.md"}, "README.md"));
  CHECK_FALSE(ignored({"**", "!util/docker/web"}, "util/docker/web/foo"));
  CHECK(ignored({"**", "!util/docker/web", "util/docker/web/foo"}, "util/docker/web/foo"));
  CHECK_FALSE(ignored({"a", "!a/b"}, "a/b/c"));
  CHECK(ignored({"a", "!a/b"}, "a/c"));
  CHECK_FALSE(ignored({"!a"}, "a"));
  CHECK(PathPatternList({"a", "!b"}).has_negation());
  CHECK_FALSE(PathPatternList({"a"}).has_negation());
}

TEST_CASE("a pattern that was not asked for a directory does not bind the paths below") {
  // BuildKit's walk: "a" is decided by the first pattern, the third is never tried on it.
  const PathPatternList list({"a", "!a/b", "a"});
  CHECK(list.matches("a"));
  CHECK_FALSE(list.matches("a/b"));
  CHECK(list.matches("a/c"));
}

TEST_CASE("a walk gives the same answers as whole paths") {
  const PathPatternList list({"a*", "!a/b", "**/c", "!**/c/d/*", "x/**/y", "!x/1/**"});
  for (const char* path : {"a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e", "ab/b", "x", "x/y", "x/1", "x/1/y", "x/2/3/y/z",
                           "q/c/d/f", "q/c/e"})
    CHECK_MESSAGE(ignored_by_walk(list, path) == list.matches(path), std::string(path));
}

TEST_CASE("a path without its parents' verdicts still knows its parents") {
  PathPatternList::ParentMatch self;
  CHECK(PathPatternList({"a"}).matches("a/b/c", {}, self));
  CHECK(self.matched == std::vector<bool>{true});
}

TEST_CASE("patterns mean BuildKit's regular expression, odd corners included") {
  check({{"x\\d", "x7", true},           {"x\\d", "xd", false},        {"x\\D", "xd", true},
         {"\\w\\W", "a-", true},         {"a\\sb", "a b", true},       {"\\x61b", "ab", true},
         {"\\x{61}b", "ab", true},       {"\\141b", "ab", true},       {"[[:digit:]]x", "5x", true},
         {"[[:^digit:]]x", "5x", false}, {"[*]", "^]", true},          {"[*]", "*", false},
         {"[^/]b*", "ab", true},         {"a{2}*", "aax", true},       {"a{2}*", "ax", false},
         {"ba{0,1}c?", "bacx", true},    {"ba{0,1}c?", "bcx", true},   {"ba{1,}*", "baaa", true},
         {"ba{1,}*", "bc", false},       {"a{b,c}*", "a{b,c}d", true}, {"a{b,c}*", "ab", false},
         {"a|b*", "axx", true},          {"a|b*", "x/bc", true},       {"a|b", "ab", false},
         {"a|b", "a|b", true},           {"a^*", "a^", false},         {"^a*", "ab", true},
         {"a$*", "a$b", true},           {"a(*", "a(b", true},         {"a+*", "a+b", true},
         {"a\\b-*", "a-b", true},        {"a\\Bb*", "abc", true},      {"\\Aa*", "ab", true},
         {"a?\\z", "ab", true},          {"\\n*", "\nb", true},        {"[^a]", "\n", true},
         {"**/a*", "\n/a", false}});
}

TEST_CASE("invalid bytes are one character each") {
  check({{"a?b",
          "a\xff"
          "b",
          true},
         {"a\xff"
          "b",
          "a\xff"
          "b",
          true},
         {"?", "\xc3\xa9", true},
         {"??", "\xc3\xa9", false}});
}

TEST_CASE("malformed patterns are refused by name") {
  for (const char* bad :
       {"!",           " ! ",     "[",     "a[b",    "[]",           "[-]",      "\\",      "a/[z-a]/*",
        "x\\y*",       "\\p{L}*", "\\Qa*", "a**{2}", "a|{2}*",       "a{2}{3}*", "a{3,2}*", "a{1001}*",
        "[[:nope:]]*", "\\8*",    "\\1*",  "\\xg*",  "\\x{110000}*", "*[a"}) {
    try {
      PathPatternList list({"ok", bad});
      FAIL("accepted ", bad);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::input);
      CHECK(std::string(error.what()).find(go_quote(bad)) != std::string::npos);
    }
  }
}

TEST_CASE("copies share the list") {
  const PathPatternList list({"a"});
  PathPatternList copy(list);
  CHECK(copy.matches("a"));
  copy = PathPatternList({"b"});
  CHECK(copy.patterns() == Strings{"b"});
  CHECK(list.matches("a"));
}

TEST_CASE("hostile patterns do not blow up") {
  const std::string path = std::string(65'000, 'a') + "b";
  CHECK(ignored({times("*a", 20'000) + "b"}, path));
  CHECK_FALSE(ignored({times("*a", 20'000) + "?*b"}, std::string(20'001, 'a')));
  CHECK_FALSE(ignored({times("a**/", 16'000) + "**b"}, path + "b"));
  CHECK_FALSE(ignored({"*" + times("?", 32'000) + "cb"}, path));
  CHECK(ignored({times("\u00e9*?", 16'000) + "*"}, times("\u00e9\u00fc", 16'000)));
  CHECK(ignored({times("*", 65'000)}, "a/b"));
  CHECK_FALSE(ignored({times("[a-cx-z]*", 8'000) + "r?"}, path + "qqq"));
  CHECK_THROWS_AS(PathPatternList({times("a{1000}", 9'000) + "*"}), Error);
}

TEST_CASE("a path with a leading slash ends, too") {
  CHECK_FALSE(PathPatternList({"b"}).matches("/b"));
  CHECK(PathPatternList({"**"}).matches("//b/"));
}

TEST_CASE("patterns of more than one machine word") {
  const std::string long_name(150, 'x');
  check({{"**/?xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx*y", "no", false}});
  CHECK(ignored({"**/" + long_name + "*/?" + long_name}, "a/b/" + long_name + "zz/y" + long_name));
  CHECK_FALSE(ignored({"**/" + long_name + "*/?" + long_name}, "a/b/" + long_name + "zz/" + long_name));
  CHECK(ignored({times("*", 1) + times("[ab]", 200)}, std::string(200, 'a')));
  CHECK_FALSE(ignored({times("[ab]", 200)}, std::string(199, 'a')));
  CHECK(ignored({times("**/a?/", 70) + "end*"}, times("x/ab/", 70) + "ending"));
}

}  // namespace cbuild
