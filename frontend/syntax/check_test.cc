// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/check.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "frontend/syntax/parser.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

std::string option_error(const std::string& text) {
  try {
    parse_check_options(text);
  } catch (const Error& e) {
    return cat(e.what(), "; ", e.hint());
  }
  return {};
}

TEST_CASE("there is one row for each rule, under its own name and anchor") {
  std::set<std::string_view> names, anchors;
  for (const CheckRule& rule : check_rules()) {
    CHECK(&rule_of(rule.check) == &rule);
    CHECK(find_rule(rule.name) == &rule);
    CHECK(names.insert(rule.name).second);
    CHECK(anchors.insert(rule.anchor).second);
    CHECK(rule.experimental == (rule.name == "InvalidDefinitionDescription"));
  }
  CHECK(names.size() == 22);
  CHECK(find_rule("StageNameCasting") == nullptr);
  CHECK(rule_of(Check::stage_name_casing).url() == "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
  CHECK(rule_of(Check::invalid_base_image_platform).url().empty());
}

TEST_CASE("every rule has its section in docs/checks.md") {
  std::ifstream in(CBUILD_TESTDATA "/../docs/checks.md");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  REQUIRE_FALSE(text.empty());
  for (const CheckRule& rule : check_rules()) {
    CHECK_MESSAGE(text.find(cat("\n### ", rule.name, "\n")) != std::string::npos, std::string(rule.name));
    CHECK_MESSAGE(text.find(cat("id=\"", rule.anchor, "\"")) != std::string::npos, std::string(rule.anchor));
  }
}

TEST_CASE("check options") {
  CHECK(parse_check_options("") == CheckOptions{});
  CHECK(parse_check_options(" skip=all ").skip_all);
  const CheckOptions options = parse_check_options("skip=A, B ;experimental= C;error=True");
  CHECK(options.skip == std::set<std::string, std::less<>>{"A", "B"});
  CHECK(options.experimental == std::set<std::string, std::less<>>{"C"});
  CHECK(options.error);
  CHECK(parse_check_options("error=0") == CheckOptions{});
}

TEST_CASE("malformed check options") {
  CHECK(option_error("foo") ==
        "invalid check option \"foo\"; write skip=RULE,..., experimental=RULE,... or error=true");
  CHECK(option_error("skp=A") == "invalid check option \"skp\"; did you mean skip?");
  CHECK(option_error("quiet=1") == "invalid check option \"quiet\"; the options are skip, experimental and error");
  CHECK(option_error("error=maybe") ==
        "failed to parse check option \"error=maybe\": strconv.ParseBool: parsing \"maybe\": invalid syntax; "
        "write "
        "error=true or error=false");
}

TEST_CASE("checks that options allow") {
  const CheckRule& rule = rule_of(Check::undefined_var);
  const CheckRule& experimental = rule_of(Check::invalid_definition_description);
  CHECK(CheckOptions{}.allows(rule));
  CHECK_FALSE(CheckOptions{}.allows(experimental));
  CHECK_FALSE(parse_check_options("skip=UndefinedVar").allows(rule));
  CHECK_FALSE(parse_check_options("skip=all").allows(rule));
  CHECK(parse_check_options("skip=all;experimental=all").allows(experimental));
  CHECK(parse_check_options("skip=all;experimental=InvalidDefinitionDescription").allows(experimental));
  CHECK_FALSE(parse_check_options("experimental=Other").allows(experimental));
}

TEST_CASE("comments add to the options, but do not make errors of findings") {
  CheckOptions options = parse_check_options("skip=A");
  options.merge_comments({"about this step", "check=skip=B;error=true // because", "check=nonsense", "CHECK = skip=C"});
  CHECK(options.skip == std::set<std::string, std::less<>>{"A", "B", "C"});
  CHECK_FALSE(options.error);
  options.merge_comments({"check=skip=all"});
  CHECK(options.skip_all);
}

TEST_CASE("names near to a word") {
  const Strings names = {"PATH", "BUILDPLATFORM", "foo"};
  CHECK(near_name("PAHT", names) == "PATH");
  CHECK(near_name("BULIDPLATFORM", names) == "BUILDPLATFORM");
  CHECK(near_name("path", names).empty());
  CHECK(near_name("foo", names).empty());
  CHECK(near_name("fo", names) == "foo");
  CHECK(near_name("PATHOLOGY", names).empty());
}

Span span_of(const std::shared_ptr<const SourceText>& source, std::size_t begin) { return {source, begin, begin + 1}; }

TEST_CASE("findings come in the order of the file and each once") {
  const auto source = std::make_shared<const SourceText>("Dockerfile", "a\nb\nc\n");
  Checks checks;
  checks.report(Check::undefined_var, span_of(source, 4), {}, "second");
  checks.report(Check::undefined_var, span_of(source, 0), {}, "first");
  checks.report(Check::undefined_var, span_of(source, 4), {}, "second");
  checks.report(Check::undefined_var, span_of(source, 2), {"check=skip=UndefinedVar"}, "spared");
  Strings shown;
  for (const Diagnostic& finding : checks.findings()) shown.push_back(finding_line(finding));
  CHECK(shown == Strings{"UndefinedVar: first (line 1)", "UndefinedVar: second (line 3)"});
  CHECK_NOTHROW(checks.throw_if_errors());
}

TEST_CASE("own options win over those of the file") {
  const auto source = std::make_shared<const SourceText>("Dockerfile", "a\n");
  Checks own(parse_check_options("error=true"));
  own.set_file_options(parse_check_options("skip=all"));
  own.report(Check::from_as_casing, span_of(source, 0), {}, "x");
  own.report(Check::duplicate_stage_name, span_of(source, 0), {}, "x");
  CHECK_THROWS_WITH(own.throw_if_errors(), "lint violation found for rules: DuplicateStageName, FromAsCasing");
}

std::string file_error(const std::string& text, Strings* notes = nullptr) {
  Checks checks;
  try {
    const Dockerfile file =
        parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text), {.checks = &checks});
    if (notes == nullptr) return {};
    for (const Diagnostic& note : file.warnings) notes->push_back(render(note));
  } catch (const DiagnosticError& e) {
    std::string out;
    for (const Diagnostic& diagnostic : e.diagnostics()) out += render(diagnostic);
    return out;
  }
  return {};
}

TEST_CASE("a malformed directive is an error at its place") {
  CHECK(file_error("# check=skp=all\nFROM scratch\n") ==
        "Dockerfile:1:9: error: failed to parse check options: invalid check option \"skp\" (did you mean skip?)\n"
        "  1 | # check=skp=all\n"
        "    |         ^~~~~~~\n");
  Strings notes;
  CHECK(file_error("# check=skip=UndefindVar\nFROM scratch\n", &notes).empty());
  CHECK(notes == Strings{"Dockerfile:1:9: note: there is no build check \"UndefindVar\" (did you mean UndefinedVar?)\n"
                         "  1 | # check=skip=UndefindVar\n"
                         "    |         ^~~~~~~~~~~~~~~~\n"});
}

}  // namespace
}  // namespace cbuild::frontend
