// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <iostream>
#include <sstream>

#include "base/error.h"
#include "cli/report/error_text.h"
#include "cli/report/text_output.h"

namespace cbuild::cli {
namespace {

/// The answer of confirm() to an input; the question goes nowhere.
bool answer(const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  std::streambuf* const old_in = std::cin.rdbuf(in.rdbuf());
  std::streambuf* const old_out = std::cout.rdbuf(out.rdbuf());
  const bool given = confirm("remove everything? ");
  std::cin.rdbuf(old_in);
  std::cout.rdbuf(old_out);
  std::cin.clear();
  CHECK(out.str().starts_with("remove everything? "));
  return given;
}

}  // namespace

TEST_CASE("only a yes is a yes") {
  for (const char* yes : {"y\n", "Y\n", "yes\n", "Yes \n"}) CHECK_MESSAGE(answer(yes), yes);
  for (const char* no : {"", "\n", "n\n", "no\n", "ye\n", "x\n", "yes please\n"}) CHECK_MESSAGE(!answer(no), no);
}

TEST_CASE("an error sends nothing to the terminal but text") {
  const std::string text = error_text(Error(ErrorCode::input, "no \x1b[31mred\x1b[0m \xe2\x80\xae file"), "/");
  CHECK(text.starts_with("ERROR: no ^[[31mred^[[0m "));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("\xe2\x80\xae") == std::string::npos);
}

TEST_CASE("the word of a wrong command line cannot begin a line of its own") {
  const std::string text = error_text(Error(ErrorCode::usage, "unknown flag '--x\nERROR: all is well'"), "/");
  CHECK(text == "ERROR: unknown flag '--x^JERROR: all is well'\n");
  CHECK(error_text(Error(ErrorCode::input, "a\nb"), "/") == "ERROR: a\nb\n");
}

TEST_CASE("the kind of an error decides the exit code") {
  const auto code_of = [](ErrorCode code) { return exit_code_of(Error(code, "x")); };
  CHECK(code_of(ErrorCode::usage) == 2);
  for (const ErrorCode machine : {ErrorCode::unsupported, ErrorCode::internal}) CHECK(code_of(machine) == 4);
  CHECK(code_of(ErrorCode::cancelled) == 130);
  for (const ErrorCode other : {ErrorCode::input, ErrorCode::not_found, ErrorCode::denied, ErrorCode::io,
                                ErrorCode::no_space, ErrorCode::network, ErrorCode::corrupt, ErrorCode::step_failed})
    CHECK(code_of(other) == 1);
}

TEST_CASE("a full disk is said to be which") {
  const std::string text = error_text(Error(ErrorCode::no_space, "write: No space left on device"), "/");
  CHECK(text.find("\nhint: ") != std::string::npos);
  CHECK(text.find("inodes free now") != std::string::npos);
  const Error hinted = Error(ErrorCode::no_space, "write").with_hint("take another disk");
  CHECK(error_text(hinted, "/").ends_with("\nhint: take another disk\n"));
}

}  // namespace cbuild::cli
