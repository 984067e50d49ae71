// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/parser.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

std::shared_ptr<const SourceText> source(std::string text) {
  return std::make_shared<const SourceText>("file.hcl", std::move(text));
}

/// "LINE:COLUMN TEXT: MESSAGE", or "" for a file that parses.
std::string mistake(const std::string& text, bool json = false) {
  const std::vector<std::string> types = {"target", "variable"};
  const auto file = source(text);
  try {
    (void)(json ? parse_json(file, types) : parse(file));
  } catch (const DiagnosticError& error) {
    const Span& span = error.diagnostics().front().span;
    const auto at = span.source->position(span.begin);
    return cat(at.line, ":", at.column, " ", text.substr(span.begin, span.end - span.begin), ": ", error.what());
  }
  return "";
}

TEST_CASE("blocks, attributes and labels") {
  const Body body = parse(source("a = 1\nblock \"one\" two {\n  x = 2\n  inner {}\n}\nempty {}\nline { y = 3 }\n"));
  REQUIRE(body.attributes.size() == 1);
  REQUIRE(body.blocks.size() == 3);
  CHECK(body.blocks[0].labels == std::vector<std::string>{"one", "two"});
  CHECK(body.blocks[0].body.find("x") != nullptr);
  CHECK(body.blocks[0].body.find("y") == nullptr);
  CHECK(body.blocks[0].body.blocks.at(0).type == "inner");
  CHECK(body.blocks[2].body.find("y") != nullptr);
}

TEST_CASE("members of JSON are blocks where their type says so") {
  const std::vector<std::string> types = {"target", "variable"};
  const Body body = parse_json(
      source(
          R"({"target":{"a":{"x":1},"b":[{"x":2},{"x":3}]},"variable":{"v":{"validation":[{"condition":true}]}},"n":1})"),
      types);
  REQUIRE(body.blocks.size() == 4);
  CHECK(body.blocks[0].labels == std::vector<std::string>{"a"});
  CHECK(body.blocks[2].labels == std::vector<std::string>{"b"});
  CHECK(body.blocks[3].body.blocks.at(0).type == "validation");
  CHECK(body.attributes.size() == 1);
}

TEST_CASE("a mistake is told with its place") {
  struct Row {
    const char *text, *expected;
  };
  const Row rows[] = {
      {"a = \n", "1:5 : expected a value"},
      {"a = [1, 2\n", "1:5 [: list is not closed"},
      {"a = { x = 1\n", "1:5 {: object is not closed"},
      {"a = \"x\n\"", "1:5 \"x: string goes over the end of the line"},
      {"a = \"x", "1:5 \": string is not closed"},
      {"a = \"\\q\"\n", "1:6 \\q: invalid escape sequence"},
      {"a = f(1\n", "2:1 : expected a comma or ) after an argument"},
      {"a = 1, b = 2\n", "1:6 ,: unexpected comma after the argument"},
      {"a = 1\na = 2\n", "2:1 a: \"a\" is set twice"},
      {"t \"x\" {\n a = 1\n", "1:7 {: block is not closed"},
      {"t \"x\" = {}\n", "1:7 =: expected { or a label in quotes"},
      {"\"a\" = 1\n", "1:1 \": the name of an argument is not in quotes"},
      {"a = 'x'\n", "1:5 ': expected a value"},
      {"a = \"${1\"\n", "1:9 \": expected } to end the sequence"},
      {"a = \"%{ if true }x\"\n", "1:6 %{ if true }: directive is not closed"},
      {"a = \"%{ endif }\"\n", "1:6 %{ endif }: directive ends something that has not begun"},
      {"a = \"%{ iff true }\"\n", "1:9 iff: unknown directive \"iff\""},
      {"a = <<EOT\nx\n", "1:5 <<: heredoc is not closed"},
      {"a = <<\nx\n", "1:5 <<: invalid heredoc"},
      {"/* x", "1:1 /*: comment is not closed"},
      {"a = [for x in y]\n", "1:16 ]: expected a colon after the collection of a 'for'"},
      {"a = {for x in y : x}\n", "1:5 {for x in y : x}: a 'for' in braces needs a key"},
      {"a = 1e5000\n", "1:5 1e5000: number is too large"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(mistake(row.text) == row.expected);
  }
  CHECK(mistake(R"({"a": 1,})", true) == "1:8 ,: comma after the last element");
  CHECK(mistake(R"({"a": x})", true) == "1:7 x: expected a value");
  CHECK(mistake(R"({"target": 1})", true) == "1:12 1: \"target\" is not a JSON object");
  CHECK(mistake(R"({"a": "${"})", true) == "1:7 \"${\": expected a value, found the end of the file");
}

TEST_CASE("nesting without end is a mistake and ends nothing") {
  for (const char* open : {"[", "(", "{ a = ", "\"${", "!", "f(", "[for x in [1] : "}) {
    std::string text = "a = ";
    for (int i = 0; i < 100000; ++i) text += open;
    CAPTURE(open);
    CHECK(mistake(text).find("nested more than 100 levels deep") != std::string::npos);
  }
  std::string dots = "a = b", sums = "a = 1", braces;
  for (int i = 0; i < 100000; ++i) {
    dots += ".c";
    sums += "+1";
    braces += "a {\n";
  }
  CHECK(mistake(dots).find("too many levels") != std::string::npos);
  CHECK(mistake(sums).find("too many levels") != std::string::npos);
  CHECK(mistake(braces).find("nested more than 100 levels deep") != std::string::npos);
  CHECK(mistake(std::string(100000, '['), true).find("nested more than 100 levels deep") != std::string::npos);
}

}  // namespace
}  // namespace cbuild::bake::hcl
