// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/directives.h"

#include <doctest/doctest.h>

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

std::shared_ptr<const SourceText> source(std::string text) {
  return std::make_shared<const SourceText>("Dockerfile", std::move(text));
}

struct Read {
  Strings found, errors;
  char escape;
  std::size_t end;
};

Read read(std::string text) {
  Report report;
  const DirectiveBlock block = read_directives(source(std::move(text)), report);
  Read out{{}, {}, block.escape, block.end};
  for (const Directive& directive : block.directives) {
    out.found.push_back(directive.name.value + "=" + directive.value.value);
  }
  try {
    report.throw_errors();
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& d : error.diagnostics()) out.errors.push_back(d.message);
  }
  return out;
}

TEST_CASE("known directives, in any case") {
  const Read result = read("# syntax=docker/dockerfile:1\n#ESCAPE = ` \n# Check=skip=all;error=true\nFROM x\n");
  CHECK(result.found == Strings{"syntax=docker/dockerfile:1", "escape=`", "check=skip=all;error=true"});
  CHECK(result.escape == '`');
}

TEST_CASE("scanning stops for good at the first line that is not a directive") {
  for (const char* stop : {"\n", "FROM x\n", "# comment\n", "# foo=bar\n", "#\n"}) {
    CAPTURE(stop);
    const Read result = read(std::string("# syntax=a\n") + stop + "# escape=`\n");
    CHECK(result.found == Strings{"syntax=a"});
    CHECK(result.escape == '\\');
  }
}

TEST_CASE("byte order mark, line ends and indentation") {
  CHECK(read("\xEF\xBB\xBF# escape=`\r\nFROM x\r\n").escape == '`');
  CHECK(read("  # escape=`\nFROM x").escape == '`');
  CHECK(read("  # syntax=a\nFROM x").found.empty());
  CHECK(read("# escape=`").end == 10);
}

TEST_CASE("a #! line hides escape, but neither syntax nor check") {
  const Read result = read("#!/usr/bin/env x\n# escape=`\n# check=skip=all\nFROM x\n");
  CHECK(result.found == Strings{"check=skip=all"});
  CHECK(result.escape == '\\');
  CHECK(result.end == 0);
}

TEST_CASE("mistakes") {
  CHECK(read("# escape=x\nFROM x").errors == Strings{"invalid escape token 'x' does not match ` or \\"});
  CHECK(read("# escape=``\nFROM x").errors == Strings{"invalid escape token '``' does not match ` or \\"});
  CHECK(read("# check=a\n# check=b\nFROM x").errors == Strings{"only one check parser directive can be used"});
  CHECK(read("# Escape=`\n# escape=`\nFROM x").errors == Strings{"only one escape parser directive can be used"});
}

TEST_CASE("syntax detection") {
  const auto detect = [](std::string text) {
    const auto found = detect_syntax(source(std::move(text)));
    return found ? found->reference + " | " + found->command_line : "none";
  };
  CHECK(detect("# syntax = a:1 // opts\nFROM x\n") == "a:1 | a:1 // opts");
  CHECK(detect("# check=x\n# syntax=a\n") == "a | a");
  CHECK(detect("#!/bin/x\n# syntax=a\n") == "a | a");
  CHECK(detect("#!/bin/x\n\n# syntax=a\n") == "none");
  CHECK(detect("\xEF\xBB\xBF# syntax=a\n") == "a | a");
  CHECK(detect("//syntax=a b\n// key=v\n") == "a | a b");
  CHECK(detect("#!/bin/x\n//syntax=a") == "a | a");
  CHECK(detect("{\"syntax\": \"a b\", \"x\": [1]}") == "a b | a b");
  CHECK(detect("{\"syntax\": 1}") == "none");
  CHECK(detect("{\"syntax\": \"a\"} x") == "none");
  CHECK(detect("FROM x\n# syntax=a\n") == "none");
  CHECK(detect("") == "none");
}

TEST_CASE("syntax knows its line") {
  const auto text = source("#!/bin/x\n# syntax=a\n");
  const auto found = detect_syntax(text);
  REQUIRE(found);
  CHECK(text->position(found->span.begin).line == 2);
}

}  // namespace
}  // namespace cbuild::frontend
