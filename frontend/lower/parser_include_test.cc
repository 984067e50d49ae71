// SPDX-License-Identifier: Apache-2.0
// INCLUDE: whose lines count, which files may be named, and where mistakes are shown.
#include "frontend/syntax/parser_include.h"

#include <doctest/doctest.h>

#include <map>

#include "base/error.h"
#include "base/text.h"
#include "frontend/lower/lower_fixture.h"
#include "frontend/lower/outline_report.h"

namespace cbuild::frontend {
namespace {

using Files = std::map<std::string, std::string>;
using Strings = std::vector<std::string>;

const std::string kOn = "# cbuild=include\n";

ParseOptions options_for(const Files& files, Checks* checks = nullptr) {
  return {.include = [files](const std::string& path) -> std::optional<std::string> {
            if (path == "denied") throw Error(ErrorCode::denied, "permission denied");
            const auto found = files.find(path);
            if (found == files.end()) return std::nullopt;
            return found->second;
          },
          .checks = checks};
}

Dockerfile parse_with(const std::string& text, const Files& files = {}, Checks* checks = nullptr) {
  return parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text), options_for(files, checks));
}

std::string error(const std::string& text, const Files& files = {}) {
  try {
    parse_with(text, files);
  } catch (const DiagnosticError& e) {
    std::string out;
    for (const Diagnostic& diagnostic : e.diagnostics()) out += render(diagnostic);
    return out;
  }
  return {};
}

std::string message(const std::string& text, const Files& files = {}) {
  try {
    parse_with(text, files);
  } catch (const DiagnosticError& e) {
    return e.diagnostics().front().message;
  }
  return {};
}

/// "file:line keyword" of every instruction in the order of the tree.
Strings places(const Dockerfile& file) {
  Strings out;
  const auto add = [&](const Instruction& instruction) {
    const Span& span = instruction.span;
    out.push_back(
        cat(span.source->name(), ":", span.source->position(span.begin).line, " ", instruction.keyword.value));
  };
  for (const Instruction& arg : file.global_args) add(arg);
  for (const Stage& stage : file.stages) {
    add(stage.from);
    for (const Instruction& instruction : stage.instructions) add(instruction);
  }
  return out;
}

TEST_CASE("without the directive INCLUDE is not an instruction, and the hint names the directive") {
  CHECK(error("FROM scratch\nINCLUDE common.df\n", {{"common.df", "ENV A=1\n"}}) ==
        "Dockerfile:2:1: error: unknown instruction: INCLUDE\n"
        "  2 | INCLUDE common.df\n"
        "    | ^~~~~~~\n"
        "  hint: INCLUDE is cbuild's own: it is read in files that begin with the directive \"# "
        "cbuild=include\", and not "
        "behind ONBUILD\n");
  CHECK(message("FROM scratch\n# cbuild=include\nINCLUDE common.df\n") == "unknown instruction: INCLUDE");
}

TEST_CASE("the instructions of an included file stand in the place of INCLUDE") {
  const Dockerfile file = parse_with(
      kOn + "INCLUDE args.df\nFROM scratch AS a\ninclude lib/common.df\nENV B=2\nINCLUDE stages.df\n",
      {{"args.df", "ARG X=1\n"}, {"lib/common.df", "ENV A=1\nRUN <<E\nx\nE\n"}, {"stages.df", "RUN y\nFROM a AS b\n"}});
  CHECK(places(file) == Strings{"args.df:1 ARG", "Dockerfile:3 FROM", "lib/common.df:1 ENV", "lib/common.df:2 RUN",
                                "Dockerfile:5 ENV", "stages.df:1 RUN", "stages.df:2 FROM"});
  CHECK(file.stages.size() == 2);
  Strings sources;
  for (const auto& source : file.sources) sources.push_back(source->name());
  CHECK(sources == Strings{"Dockerfile", "args.df", "lib/common.df", "stages.df"});
}

TEST_CASE("ARG above the first FROM is global wherever it is written") {
  testing::Build build;
  const Dockerfile file = parse_with(kOn + "INCLUDE args.df\nFROM $BASE\nINCLUDE stage.df\n",
                                     {{"args.df", "ARG BASE=busybox\n"}, {"stage.df", "ARG LOCAL=1\nENV V=$LOCAL\n"}});
  const Lowered lowered = lower(file, build.options, build.images);
  CHECK(build.images.requests.at(0).first == "busybox");
  CHECK(lowered.target.config.config.env.back() == "V=1");
}

TEST_CASE("paths are relative to the file that includes; the Dockerfile stands in the root") {
  const Files files = {{"a/b.df", "INCLUDE c.df\nINCLUDE ../d.df\nINCLUDE /e.df\nINCLUDE ./sub/../c.df\n"},
                       {"a/c.df", "ENV C=1\n"},
                       {"d.df", "ENV D=1\n"},
                       {"e.df", "ENV E=1\n"}};
  CHECK(places(parse_with(kOn + "FROM scratch\nINCLUDE a/b.df\n", files)) ==
        Strings{"Dockerfile:2 FROM", "a/c.df:1 ENV", "d.df:1 ENV", "e.df:1 ENV", "a/c.df:1 ENV"});
}

TEST_CASE("nothing outside of the context is included") {
  CHECK(message(kOn + "FROM scratch\nINCLUDE ../x\n") == "INCLUDE ../x leads out of the build context");
  CHECK(message(kOn + "FROM scratch\nINCLUDE a/b.df\n", {{"a/b.df", "INCLUDE ../../x\n"}}) ==
        "INCLUDE ../../x leads out of the build context");
  CHECK(message(kOn + "FROM scratch\nINCLUDE /../x\n") == "INCLUDE /../x leads out of the build context");
}

TEST_CASE("files that cannot be included") {
  CHECK(error(kOn + "FROM scratch\nINCLUDE none.df\n") ==
        "Dockerfile:3:9: error: INCLUDE none.df: no such file in the build context\n"
        "  3 | INCLUDE none.df\n"
        "    |         ^~~~~~~\n"
        "  hint: a path is relative to the file that includes; the Dockerfile counts as standing in the "
        "context's root\n");
  CHECK(message(kOn + "FROM scratch\nINCLUDE denied\n") == "INCLUDE denied: permission denied");
  CHECK(message(kOn + "FROM scratch\nINCLUDE\n") == "INCLUDE requires exactly one argument");
  CHECK(message(kOn + "FROM scratch\nINCLUDE a b\n") == "INCLUDE requires exactly one argument");
  CHECK(message(kOn + "FROM scratch\nINCLUDE --x a\n") == "unknown flag: --x");
  CHECK(message(kOn + "FROM scratch\nINCLUDE $a\n") == "variable expansion is not supported for INCLUDE");
  CHECK(
      message(kOn + "FROM scratch\nONBUILD INCLUDE a\n").empty());  // a warning, as for every trigger that cannot work
}

TEST_CASE("no context, no files") {
  try {
    parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", kOn + "FROM scratch\nINCLUDE a\n"));
    FAIL("was parsed");
  } catch (const DiagnosticError& e) {
    CHECK(e.diagnostics().at(0).hint == "this build has no directory as its context");
  }
}

TEST_CASE("cycles are told with the way around") {
  const Files files = {{"a.df", "INCLUDE b.df\n"}, {"b.df", "ENV X=1\nINCLUDE a.df\n"}};
  CHECK(error(kOn + "FROM scratch\nINCLUDE a.df\n", files) ==
        "b.df:2:9: error: INCLUDE cycle: Dockerfile -> a.df -> b.df -> a.df\n"
        "  2 | INCLUDE a.df\n"
        "    |         ^~~~\n"
        "  hint: a file cannot include itself\n"
        "a.df:1:1: note: included from here\n"
        "  1 | INCLUDE b.df\n"
        "    | ^~~~~~~~~~~~\n"
        "Dockerfile:3:1: note: included from here\n"
        "  3 | INCLUDE a.df\n"
        "    | ^~~~~~~~~~~~\n");
  CHECK(message(kOn + "FROM scratch\nINCLUDE a.df\nINCLUDE a.df\n", {{"a.df", "ENV X=1\n"}}).empty());
}

TEST_CASE("depth and number of files are bounded") {
  Files chain;
  for (int i = 0; i < 20; ++i) chain[cat("f", i)] = cat("INCLUDE f", i + 1, "\n");
  chain["f20"] = "ENV A=1\n";
  CHECK(message(kOn + "FROM scratch\nINCLUDE f0\n", chain)
            .starts_with("INCLUDE is nested more than 16 deep: Dockerfile -> f0 "));
  CHECK(message(kOn + "FROM scratch\nINCLUDE f5\n", chain).empty());
  Files bush;
  for (int i = 0; i < 15; ++i) bush[cat("f", i)] = cat("INCLUDE f", i + 1, "\nINCLUDE f", i + 1, "\n");
  bush["f15"] = "ENV A=1\n";
  CHECK(message(kOn + "FROM scratch\nINCLUDE f0\n", bush) == "more than 1000 files are included");
}

TEST_CASE("errors in included files are at their own lines, several in one run") {
  const std::string text = error(kOn + "FROM scratch\nINCLUDE a.df\nRNU x\n", {{"a.df", "\nCOPPY a b\n"}});
  CHECK(text ==
        "a.df:2:1: error: unknown instruction: COPPY (did you mean COPY?)\n"
        "  2 | COPPY a b\n"
        "    | ^~~~~\n"
        "Dockerfile:3:1: note: included from here\n"
        "  3 | INCLUDE a.df\n"
        "    | ^~~~~~~~~~~~\n"
        "Dockerfile:4:1: error: unknown instruction: RNU (did you mean RUN?)\n"
        "  4 | RNU x\n"
        "    | ^~~\n");
}

TEST_CASE("lowering points into included files, too") {
  testing::Build build;
  const Dockerfile file = parse_with(kOn + "FROM scratch\nINCLUDE a.df\n", {{"a.df", "STOPSIGNAL nonsense\n"}});
  try {
    lower(file, build.options, build.images);
    FAIL("was lowered");
  } catch (const DiagnosticError& e) {
    REQUIRE(e.diagnostics().size() == 2);
    CHECK(render(e.diagnostics()[0]).starts_with("a.df:1:12: error: invalid signal: nonsense\n"));
    CHECK(render(e.diagnostics()[1]).starts_with("Dockerfile:3:1: note: included from here\n"));
  }
}

TEST_CASE("steps know the file they come from") {
  testing::Build build;
  const Dockerfile file = parse_with(kOn + "FROM busybox\nINCLUDE a.df\n", {{"a.df", "ENV A=1\nRUN false\n"}});
  const Lowered lowered = lower(file, build.options, build.images);
  const Span& span = testing::result_vertex(lowered).spans.at(0);
  CHECK(span.source->name() == "a.df");
  CHECK(span.source->position(span.begin).line == 2);
}

TEST_CASE("a heredoc ends in its own file, a continuation with it") {
  CHECK(message(kOn + "FROM scratch\nINCLUDE a.df\nE\n", {{"a.df", "RUN <<E\nx\n"}}) == "unterminated heredoc");
  CHECK(places(parse_with(kOn + "FROM scratch\nINCLUDE a.df\nENV B=1\n", {{"a.df", "ENV A=1 \\\n"}})) ==
        Strings{"Dockerfile:2 FROM", "a.df:1 ENV", "Dockerfile:4 ENV"});
}

TEST_CASE("directives of included files") {
  CHECK(message("# escape=`\n" + kOn + "FROM scratch\nINCLUDE a.df\n", {{"a.df", "ENV A=1 `\n B=2\n"}}).empty());
  CHECK(message(kOn + "FROM scratch\nINCLUDE a.df\n", {{"a.df", "# escape=`\nENV A=1\n"}}) ==
        "an included file has another escape character than the file that includes it");
  const Dockerfile file = parse_with(kOn + "FROM scratch\nINCLUDE a.df\n", {{"a.df", "# check=skip=all\nENV A=1\n"}});
  REQUIRE(file.warnings.size() == 1);
  CHECK(file.warnings[0].message == "the check directive of an included file has no effect");
  CHECK(message("# cbuild=inlcude\nFROM scratch\n") == "the cbuild directive knows no feature \"inlcude\"");
}

TEST_CASE("findings are in the order in which the files are read") {
  Checks checks;
  parse_with(kOn + "FROM scratch AS A\nINCLUDE a.df\nMAINTAINER me\n", {{"a.df", "\n\n\n\nMAINTAINER you\n"}}, &checks);
  Strings shown;
  for (const Diagnostic& finding : checks.findings()) {
    shown.push_back(cat(finding.span.source->name(), " ", finding.rule));
  }
  CHECK(shown == Strings{"Dockerfile StageNameCasing", "a.df MaintainerDeprecated", "Dockerfile MaintainerDeprecated"});
}

TEST_CASE("outline and targets name the file by its number among the sources") {
  testing::Build build;
  Outline outline;
  build.options.reports.outline = &outline;
  const Dockerfile file = parse_with(kOn + "ARG A=1\nINCLUDE s.df\n", {{"s.df", "\nFROM scratch AS t\nARG B=2\n"}});
  lower(file, build.options, build.images);
  const std::string json = replace_all(outline_json(outline, file.sources), "\n", "");
  CHECK(json.find("\"sourceIndex\": 1") != std::string::npos);
  const std::vector<TargetInfo> targets = list_targets(file);
  CHECK(targets.at(0).span.source == file.sources.at(1));
}

}  // namespace
}  // namespace cbuild::frontend
