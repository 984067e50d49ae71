// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/evaluate.h"

#include <doctest/doctest.h>

#include "bake/hcl/parser.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

/// The attributes of a file, which may use each other.
class FileNames : public Names {
 public:
  explicit FileNames(const std::string& text) : body_(parse(std::make_shared<const SourceText>("file.hcl", text))) {}
  std::optional<Value> variable(const std::string& name) override {
    const Assignment* found = body_.find(name);
    if (!found) return std::nullopt;
    return evaluate(*found->value, Scope{*this, budget_});
  }
  const UserFunction* function(const std::string&) override { return nullptr; }
  bool is_block(const std::string&) const override { return false; }
  std::optional<Value> block(const std::string&, const std::string&, const std::string&) override {
    return std::nullopt;
  }
  std::vector<std::string> known_names() const override {
    std::vector<std::string> out;
    for (const Assignment& one : body_.attributes) out.push_back(one.name);
    return out;
  }

 private:
  Body body_;
  Budget budget_;
};

/// The JSON of the attribute "x", or the message.
std::string value_of_x(const std::string& text) {
  FileNames names(text);
  try {
    return to_json(*names.variable("x"), false);
  } catch (const DiagnosticError& error) {
    const Diagnostic& first = error.diagnostics().front();
    return cat(first.message, first.hint.empty() ? "" : cat(" (", first.hint, ")"));
  }
}

TEST_CASE("values that do not fit are told") {
  struct Row {
    const char *text, *expected;
  };
  const Row rows[] = {
      {"x = 1 + \"a\"", "a number is required"},
      {"x = 1 / 0", "division by zero"},
      {"x = null + 1", "operand is null"},
      {"x = \"a${null}\"", "a null value does not fit into a string"},
      {"x = \"a${[]}\"", "a string is required"},
      {"x = [1][2]", "index 2 is out of range (there are 1 elements, from 0)"},
      {"x = [1][0.5]", "index is not a whole number"},
      {"x = {a = 1}.b", "\"b\" is missing in the object"},
      {"x = {name = 1}.nam", "\"nam\" is missing in the object (did you mean name?)"},
      {"x = 1.a", "a number has no attributes"},
      {"value = 1\nx = vlue", "variable \"vlue\" is not defined (did you mean value?)"},
      {"x = uper(\"a\")", "function \"uper\" is not defined (did you mean upper?)"},
      {"x = upper()", "function upper takes 1 argument, not 0"},
      {"x = upper(null)", "argument 1 of upper is null"},
      {"x = upper([])", "invalid argument 1 of upper: a string is required"},
      {"x = true ? {} : 1", "the two values of a conditional have no type in common: object and number"},
      {"x = 1 ? 2 : 3", "a bool is required"},
      {"x = [for a in 1 : a]", "cannot loop over a number"},
      {"x = {for a in [1, 1] : a => a}", "two elements have the key \"1\" (write ... after the value to group them)"},
      {"x = regex(\"(\", \"a\")", ""},
      {"x = regex(\"(a)\\\\1\", \"aa\")",
       "regex: invalid pattern \"(a)\\\\1\": references to groups are not supported"},
      {"x = format(\"%d\", 1.5)", "format: %d takes a whole number"},
      {"x = format(\"%s\")", "format: not enough arguments for %s: it needs argument 1 of 0"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    if (*row.expected)
      CHECK(value_of_x(row.text) == row.expected);
    else
      CHECK(value_of_x(row.text).find("invalid pattern") != std::string::npos);
  }
}

TEST_CASE("a value that grows without end is refused") {
  std::string text = "v0 = \"xxxxxxxxxxxxxxxx\"\n", lists = "v0 = [1, 2]\n";
  for (int i = 1; i < 60; ++i) {
    text += cat("v", i, " = \"${v", i - 1, "}${v", i - 1, "}\"\n");
    lists += cat("v", i, " = [v", i - 1, ", v", i - 1, "]\n");
  }
  CHECK_THROWS_AS(value_of_x(text + "x = v59"), Error);
  CHECK_THROWS_AS(value_of_x(lists + "x = v59"), Error);
  CHECK_THROWS_AS(value_of_x("x = x"), Error);
  const std::string loops = "r = range(1000)\nx = [for a in r : [for b in r : [for c in r : c]]]";
  CHECK_THROWS_AS(value_of_x(loops), Error);
  CHECK(value_of_x("x = regex(\"(a*)*(b*)*(a*)*c\", \"" + std::string(3000, 'a') + "\")").find("regex: ") == 0);
}

TEST_CASE("numbers keep 512 bits and print the shortest text") {
  CHECK(value_of_x("x = 0.1 + 0.2") == "0.3");
  CHECK(value_of_x("x = 100000000000000000000000000000000000001 * 3") == "300000000000000000000000000000000000003");
  CHECK(value_of_x("x = 1.50") == "1.5");
  CHECK(value_of_x("x = 1e3") == "1000");
  CHECK(value_of_x("x = -0") == "0");
  CHECK(value_of_x("x = 7 % 4 - 10 / 4") == "0.5");
}

}  // namespace
}  // namespace cbuild::bake::hcl
