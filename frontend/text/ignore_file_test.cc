// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/ignore_file.h"

#include <doctest/doctest.h>

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

TEST_CASE("comments stand at column 0, blank lines are nothing") {
  CHECK(parse_ignore_file("# a\nb\n\n  \n # c\n") == Strings{"b", "# c"});
  CHECK(parse_ignore_file("") == Strings{});
}

TEST_CASE("byte order mark and line ends") {
  CHECK(parse_ignore_file("\xEF\xBB\xBF# x\r\na\r\nb") == Strings{"a", "b"});
}

TEST_CASE("patterns are trimmed, cleaned and relative") {
  CHECK(parse_ignore_file("  a  \n/b/\n./c/../d\n//e\n/\n.\n\xC2\xA0"
                          "f\n") == Strings{"a", "b", "d", "e", "/", ".", "f"});
  CHECK(parse_ignore_file("**/x\n*.[ch]\na\\ b\n") == Strings{"**/x", "*.[ch]", "a\\ b"});
}

TEST_CASE("negations stay in front") { CHECK(parse_ignore_file("!a\n! /b/ \n!\n") == Strings{"!a", "!b", "!"}); }

TEST_CASE("reading a list again does not change it") {
  const Strings once = parse_ignore_file("/a//b/\n!./c\n**/*.o\n../d\n");
  std::string text;
  for (const std::string& pattern : once) text += pattern + "\n";
  CHECK(parse_ignore_file(text) == once);
}

}  // namespace
}  // namespace cbuild::frontend
