// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/lines.h"

#include <doctest/doctest.h>

namespace cbuild::frontend {
namespace {

std::vector<LogicalLine> read_all(const std::string& text, char escape = '\\') {
  LineReader reader(text, bom_length(text), escape);
  std::vector<LogicalLine> lines;
  LogicalLine line;
  while (reader.next(line)) lines.push_back(line);
  return lines;
}

std::vector<std::string> texts(const std::string& text, char escape = '\\') {
  std::vector<std::string> out;
  for (const LogicalLine& line : read_all(text, escape)) out.push_back(line.text);
  return out;
}

using Texts = std::vector<std::string>;

TEST_CASE("blank lines and comments are not lines") {
  CHECK(texts("").empty());
  CHECK(texts("\n \t\n# c\n  # d\n").empty());
  CHECK(texts("\nA\n\n# c\nB") == Texts{"A", "B"});
  CHECK(texts("\xEF\xBB\xBF"
              "A\n") == Texts{"A"});
  CHECK(texts("A # no comment\n") == Texts{"A # no comment"});
}

TEST_CASE("line ends may be LF, CRLF or the end of the file") {
  CHECK(texts("A\r\nB\r\n") == Texts{"A", "B"});
  CHECK(texts("A \\\r\nb\r\nC") == Texts{"A b", "C"});
  CHECK(texts("A\r\r\nB") == Texts{"A", "B"});
}

TEST_CASE("continuations are joined with nothing in between") {
  CHECK(texts("A\\\nb\\\nc") == Texts{"Abc"});
  CHECK(texts("  A \\\n   b") == Texts{"A    b"});
  CHECK(texts("A \\  \t\nb") == Texts{"A b"});
  CHECK(texts("A \\\n# c\n  # d\nb") == Texts{"A b"});
  CHECK(texts("A \\") == Texts{"A "});
  CHECK(texts("A \\\n") == Texts{"A "});
  CHECK(texts("\\\nA") == Texts{"A"});
  CHECK(texts("A\\\n\\\n \\\nb") == Texts{"A b"});
}

TEST_CASE("an escaped escape character does not continue") {
  CHECK(texts("A\\\\\nB") == Texts{"A\\\\", "B"});
  CHECK(texts("A\\\\\\\nB") == Texts{"A\\\\\\", "B"});
  CHECK(texts("A\\\xC2\xA0\nB") == Texts{"A\\\xC2\xA0", "B"});
}

TEST_CASE("the escape character is the one that was chosen") {
  CHECK(texts("A `\nb\\\nC", '`') == Texts{"A b\\", "C"});
}

TEST_CASE("blank lines in a continuation are skipped and noted") {
  const auto lines = read_all("A \\\n\n \t\nb\nB \\\nc\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "A b");
  CHECK(lines[0].empty_continuation);
  CHECK(lines[0].last_line == 8);
  CHECK_FALSE(lines[1].empty_continuation);
}

TEST_CASE("comments belong to the line below, blank comments start over") {
  const auto lines = read_all("# one\n#two \n\nA\n# lost\n#\n# kept\nB\nC\n  # indented\nD");
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].comment == Texts{"one", "two"});
  CHECK(lines[1].comment == Texts{"kept"});
  CHECK(lines[2].comment.empty());
  CHECK(lines[3].comment == Texts{"# indented"});
}

TEST_CASE("every byte of a joined line knows its place") {
  const std::string source = "\n  A \\\n# x\n bc\\\nd\n";
  const auto lines = read_all(source);
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].text == "A  bcd");
  for (const char c : std::string("Abcd")) {
    CHECK(source[lines[0].source_offset(lines[0].text.find(c))] == c);
  }
  CHECK(lines[0].source_offset(lines[0].text.size()) == source.size() - 1);
  CHECK(lines[0].begin == 3);
  CHECK(lines[0].end == source.size() - 1);
}

TEST_CASE("lines have a limit, joined lines have none") {
  const std::string longest(LineReader::kMaxLine, 'x');
  LogicalLine line;
  {
    LineReader reader(longest, 0, '\\');
    CHECK(reader.next(line));
    CHECK(line.text == longest);
    CHECK_FALSE(reader.too_long());
  }
  {
    const std::string text = "A\n" + longest + "x\nB\n";
    LineReader reader(text, 0, '\\');
    CHECK(reader.next(line));
    CHECK_FALSE(reader.next(line));
    CHECK(reader.too_long() == 2);
  }
  const std::string part(60000, 'y');
  CHECK(texts(part + "\\\n" + part + "\\\n" + part) == Texts{part + part + part});
}

TEST_CASE("bodies end at the exact terminator") {
  const std::string text = "a\n EOF\nEOF \n#c\\\n\nEOF\nrest\n";
  LineReader reader(text, 0, '\\');
  const auto body = reader.read_body("EOF", false);
  CHECK(body.terminated);
  CHECK(body.text == "a\n EOF\nEOF \n#c\\\n\n");
  CHECK(body.begin == 0);
  CHECK(text.substr(body.begin, body.end - body.begin).ends_with("\nEOF"));
  CHECK(body.near_miss == 2);
  LogicalLine line;
  CHECK(reader.next(line));
  CHECK(line.text == "rest");
}

TEST_CASE("tabs in front of the terminator count unless they are stripped") {
  const std::string text = "\tx\n\t\tEOF\n";
  CHECK(LineReader(text, 0, '\\').read_body("EOF", true).text == "\tx\n");
  CHECK_FALSE(LineReader(text, 0, '\\').read_body("EOF", false).terminated);
  const std::string blanks = "\tx\n  EOF\n";
  CHECK_FALSE(LineReader(blanks, 0, '\\').read_body("EOF", true).terminated);
}

TEST_CASE("bodies keep their line ends, terminators ignore them") {
  const std::string text = "a\r\nEOF\r\n";
  const auto body = LineReader(text, 0, '\\').read_body("EOF", false);
  CHECK(body.terminated);
  CHECK(body.text == "a\r\n");
}

TEST_CASE("a body at the end of the file is not terminated") {
  const auto none = LineReader("", 0, '\\').read_body("EOF", false);
  CHECK_FALSE(none.terminated);
  CHECK(none.text.empty());
  const std::string text = "a\nb";
  const auto open = LineReader(text, 0, '\\').read_body("EOF", false);
  CHECK_FALSE(open.terminated);
  CHECK(open.text == "a\nb");
  CHECK_FALSE(open.near_miss);
}

}  // namespace
}  // namespace cbuild::frontend
