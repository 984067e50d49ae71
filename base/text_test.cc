// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <doctest/doctest.h>

#include <limits>

namespace cbuild {

namespace {

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("cat concatenates strings, characters and integers") {
  CHECK(cat("a", std::string("b"), std::string_view("c"), 'd', -5, std::uint64_t{18446744073709551615u}) ==
        "abcd-518446744073709551615");
  CHECK(cat() == "");
}

TEST_CASE("split keeps empty parts and join undoes it") {
  CHECK(split("a,b,,c", ',') == Strings{"a", "b", "", "c"});
  CHECK(split("", ',') == Strings{""});
  CHECK(split(",", ',') == Strings{"", ""});
  CHECK(join(split("a,b,,c", ','), ",") == "a,b,,c");
  CHECK(join({}, ",") == "");
}

TEST_CASE("trim takes ASCII blanks at both ends only") {
  CHECK(trim(" \t\r\n a b \v\f") == "a b");
  CHECK(trim(" \t") == "");
  CHECK(trim("\xc2\xa0x") == "\xc2\xa0x");
}

TEST_CASE("case functions leave everything but ASCII letters alone") {
  CHECK(to_lower("AbZ[\xc3\x84") == "abz[\xc3\x84");
  CHECK(to_upper("aBz{\xc3\xa4") == "ABZ{\xc3\xa4");
  CHECK(iequals("From", "fROM"));
  CHECK_FALSE(iequals("From", "Fro"));
  CHECK_FALSE(iequals("[", "{"));
  CHECK(starts_with_i("FROM x", "from"));
  CHECK_FALSE(starts_with_i("FR", "from"));
  CHECK(starts_with_i("x", ""));
}

TEST_CASE("replace_all does not look at its own output") {
  CHECK(replace_all("aaa", "a", "aa") == "aaaaaa");
  CHECK(replace_all("abcabc", "bc", "") == "aa");
  CHECK(replace_all("abc", "", "x") == "abc");
  CHECK(replace_all("abc", "x", "y") == "abc");
}

TEST_CASE("parse_int takes the whole string or nothing") {
  CHECK(parse_int("0") == 0);
  CHECK(parse_int("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(parse_int("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(parse_int("755", 8) == 0755);
  CHECK(parse_int("ff", 16) == 255);
  for (const char* bad : {"", " 1", "1 ", "+1", "1x", "0x1", "9223372036854775808", "--1", "8"})
    CHECK_MESSAGE((std::string(bad) == "8" ? parse_int(bad, 8) : parse_int(bad)) == std::nullopt, std::string(bad));
}

TEST_CASE("suggest finds the word that was meant") {
  const Strings words = {"ADD",    "ARG",   "CMD",         "COPY",  "ENTRYPOINT", "ENV",
                         "EXPOSE", "FROM",  "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
                         "RUN",    "SHELL", "STOPSIGNAL",  "USER",  "VOLUME",     "WORKDIR"};
  const std::pair<const char*, const char*> cases[] = {{"FRMO", "FROM"},
                                                       {"COPPY", "COPY"},
                                                       {"RNU", "RUN"},
                                                       {"from", "FROM"},
                                                       {"wrokdir", "WORKDIR"},
                                                       {"EXPOES", "EXPOSE"},
                                                       {"ENTRYPIONT", "ENTRYPOINT"},
                                                       {"ENTRPOIN", "ENTRYPOINT"},
                                                       {"LABLE", "LABEL"},
                                                       {"VOLUMES", "VOLUME"},
                                                       {"USR", "USER"},
                                                       {"HEALTCHEK", "HEALTHCHECK"},
                                                       {"CP", ""},
                                                       {"RUN", ""},
                                                       {"", ""},
                                                       {"X", ""},
                                                       {"BANANA", ""},
                                                       {"FRXX", ""},
                                                       {"CO", ""}};
  for (const auto& [word, expected] : cases)
    CHECK_MESSAGE(suggest(word, words).value_or("") == expected, std::string(word));
}

TEST_CASE("suggest prefers the nearest, then the first, candidate") {
  CHECK(suggest("abcdefg", Strings{"abcdexx", "abcdefx"}) == "abcdefx");
  CHECK(suggest("bat", Strings{"cat", "hat"}) == "cat");
  CHECK(suggest("bat", Strings{}) == std::nullopt);
  CHECK(suggest(std::string(100'000, 'a'), Strings{"a", "b"}) == std::nullopt);
}

TEST_CASE("clean_path is Go's path.Clean") {
  const std::pair<const char*, const char*> cases[] = {{"", "."},
                                                       {".", "."},
                                                       {"/", "/"},
                                                       {"//", "/"},
                                                       {"a//b", "a/b"},
                                                       {"a/./b/", "a/b"},
                                                       {"a/../b", "b"},
                                                       {"a/..", "."},
                                                       {"..", ".."},
                                                       {"../..", "../.."},
                                                       {"../a/..", ".."},
                                                       {"/..", "/"},
                                                       {"/../a", "/a"},
                                                       {"/a/../..", "/"},
                                                       {"a/../../b", "../b"},
                                                       {"./a", "a"},
                                                       {"a/b/../../..", ".."},
                                                       {"...", "..."},
                                                       {"a..", "a.."},
                                                       {"/a/b/..", "/a"}};
  for (const auto& [path, expected] : cases) CHECK_MESSAGE(clean_path(path) == expected, std::string(path));
}

TEST_CASE("join_path, base_name and dir_name are Go's") {
  CHECK(join_path("a", "b") == "a/b");
  CHECK(join_path("a", "/b") == "a/b");
  CHECK(join_path("/a/", "../b") == "/b");
  CHECK(join_path("", "b/") == "b");
  CHECK(join_path("a/", "") == "a");
  CHECK(join_path("", "") == "");
  CHECK(base_name("") == ".");
  CHECK(base_name("///") == "/");
  CHECK(base_name("/a/b/") == "b");
  CHECK(base_name("a") == "a");
  CHECK(dir_name("") == ".");
  CHECK(dir_name("a") == ".");
  CHECK(dir_name("/a") == "/");
  CHECK(dir_name("a/b") == "a");
  CHECK(dir_name("a/b/") == "a/b");
  CHECK(dir_name("a//b/../c") == "a");
}

TEST_CASE("relative paths whose root is empty") {
  CHECK(child_path("", "a") == "a");
  CHECK(child_path("a/b", "c") == "a/b/c");
  CHECK(parent_path("a/b/c") == "a/b");
  CHECK(parent_path("a") == "");
  CHECK(parent_path("") == "");
}

}  // namespace cbuild
