// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/stages.h"

#include <doctest/doctest.h>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using Texts = std::vector<std::string>;

struct StagesFile {
  explicit StagesFile(const std::string& text, LowerOptions given = testing::plain_options())
      : options(std::move(given)),
        syntax(parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text))),
        contexts(options.named_contexts),
        globals(make_global_scope(syntax, options)),
        table(syntax, options, contexts, globals.args, checks) {}

  LowerOptions options;
  Dockerfile syntax;
  NamedContexts contexts;
  GlobalScope globals;
  Checks checks = Checks::none();
  StageTable table;
};

Diagnostic stage_problem(const std::string& text) {
  try {
    StagesFile file(text);
  } catch (const DiagnosticError& e) {
    return e.diagnostics().at(0);
  }
  FAIL("no error");
  return {};
}

const Instruction& instruction(const StagesFile& file, std::size_t stage, std::size_t index) {
  return file.syntax.stages.at(stage).instructions.at(index);
}

TEST_CASE("FROM names an earlier stage exactly") {
  const StagesFile file("FROM busybox AS Base\nFROM base AS b\nFROM later\nFROM scratch AS later\n");
  const auto& stages = file.table.stages();
  CHECK(stages[1].base_stage == 0);
  CHECK_FALSE(stages[2].base_stage.has_value());
  CHECK(stages[3].from_scratch());
  CHECK_FALSE(stages[0].from_scratch());
}

TEST_CASE("FROM does not fold case: another spelling is an image") {
  const StagesFile file("ARG NAME=BASE\nFROM busybox AS base\nFROM $NAME\n");
  CHECK_FALSE(file.table.stages()[1].base_stage.has_value());
}

TEST_CASE("the later one of two stages with a name is found, but FROM sees the one before it") {
  const StagesFile file("FROM a AS x\nFROM x AS x\nFROM x\n");
  CHECK(file.table.stages()[1].base_stage == 0);
  CHECK(file.table.stages()[2].base_stage == 1);
  CHECK(file.table.find("X") == 1);
}

TEST_CASE("scratch is a stage if one is called so") {
  const StagesFile file("FROM busybox AS scratch\nFROM scratch\n");
  CHECK(file.table.stages()[1].base_stage == 0);
  CHECK_FALSE(file.table.stages()[1].from_scratch());
}

TEST_CASE("display names") {
  CHECK(StagesFile("FROM a\n").table.stages()[0].display_name == "");
  CHECK(StagesFile("FROM a AS one\n").table.stages()[0].display_name == "");
  CHECK(StagesFile("FROM a\nCOPY --from=image /x /\n").table.stages()[0].display_name == "stage-0");
  CHECK(StagesFile("FROM a AS one\nRUN --mount=type=cache,target=/c true\n").table.stages()[0].display_name == "one");
  const StagesFile two("FROM a\nFROM b AS named\n");
  CHECK(two.table.stages()[0].display_name == "stage-0");
  CHECK(two.table.stages()[1].display_name == "named");
}

TEST_CASE("targets") {
  const StagesFile file("FROM a AS build\nFROM b\n");
  CHECK(file.table.target("") == 1);
  CHECK(file.table.target("BUILD") == 0);
  try {
    file.table.target("bulid");
    FAIL("no error");
  } catch (const DiagnosticError& e) {
    CHECK(e.diagnostics()[0].message == "target stage \"bulid\" could not be found");
    CHECK(e.diagnostics()[0].hint == "did you mean build?");
  }
  CHECK_THROWS_AS(file.table.target("0"), DiagnosticError);
}

TEST_CASE("COPY --from is a stage in any case, a number, or something outside") {
  const StagesFile file(
      "FROM a AS one\nFROM b\nCOPY --from=ONE x /\nCOPY --from=0 x /\nCOPY --from=docker.io/x:1 x /\nCOPY x /\n");
  CHECK(file.table.origins(instruction(file, 1, 0)) == std::vector<Origin>{{0, ""}});
  CHECK(file.table.origins(instruction(file, 1, 1)) == std::vector<Origin>{{0, ""}});
  CHECK(file.table.origins(instruction(file, 1, 2)) == std::vector<Origin>{{std::nullopt, "docker.io/x:1"}});
  CHECK(file.table.origins(instruction(file, 1, 3)).empty());
}

TEST_CASE("mounts take stages by name only") {
  const StagesFile file(
      "FROM a AS one\nFROM b\nRUN --mount=from=One,target=/x --mount=type=cache,target=/y --mount=target=/z,from=0 "
      "true\n");
  CHECK(file.table.origins(instruction(file, 1, 0)) == std::vector<Origin>{{0, ""}, {std::nullopt, "0"}});
}

TEST_CASE("wrong numbers and variables in --from") {
  CHECK(stage_problem("FROM a\nCOPY --from=1 x /\n").message == "invalid stage index 1");
  CHECK(stage_problem("FROM a\nCOPY --from=-1 x /\n").message == "invalid stage index -1");
  CHECK(stage_problem("FROM a\nCOPY --from=$X x /\n").message ==
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a "
        "workaround");
}

TEST_CASE("cycles through copies and mounts, reached or not") {
  CHECK(stage_problem("FROM busybox AS stage0\nCOPY --from=stage0 f1 /sub/\n").message ==
        "circular dependency detected on stage: stage0");
  CHECK(stage_problem("FROM busybox AS a\nCOPY --from=c f /\nFROM busybox AS b\nRUN --mount=from=a,target=/x true\n"
                      "FROM busybox AS c\nCOPY --from=b f /\nFROM scratch\n")
            .message == "circular dependency detected on stage: a");
  CHECK_NOTHROW(StagesFile(
      "FROM a AS x\nFROM b AS y\nCOPY --from=x f /\nCOPY --from=x g /\nFROM y\nCOPY --from=x f /\nCOPY --from=y f "
      "/\n"));
}

TEST_CASE("a cycle is reported where it closes") {
  const Diagnostic found =
      stage_problem("FROM busybox AS a\nCOPY --from=b f /\nFROM busybox AS b\nCOPY --from=a f /\n");
  CHECK(found.span.source->position(found.span.begin).line == 4);
}

TEST_CASE("a cycle is found however long the way is") {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += cat("FROM a AS s", i, "\nCOPY --from=s", (i + 1) % 2000, " f /\n");
  CHECK(stage_problem(text).message == "circular dependency detected on stage: s0");
}

TEST_CASE("FROM expands in the global scope") {
  const StagesFile file("ARG TAG=1\nARG P=linux/arm64\nFROM --platform=$P busybox:${TAG}\n");
  CHECK(file.table.stages()[0].base == "busybox:1");
  CHECK(file.table.stages()[0].platform->str() == "linux/arm64");
  CHECK(StagesFile("FROM --platform=$BUILDPLATFORM a\n").table.stages()[0].platform->str() == "linux/amd64");
}

TEST_CASE("FROM errors") {
  CHECK(stage_problem("FROM ${BLANK} AS x\n").message == "base name (${BLANK}) should not be blank");
  CHECK(stage_problem("FROM --platform=$NOPE a\n").message == "empty platform value from expression $NOPE");
  const Diagnostic near = stage_problem("FROM --platform=$BULIDPLATFORM a\n");
  CHECK(near.hint == "did you mean BUILDPLATFORM?");
  CHECK(stage_problem("FROM --platform=wat a\n").message ==
        "failed to parse platform wat: \"wat\": unknown operating system or architecture: invalid argument");
  CHECK(stage_problem("ARG X\nFROM ${X:?give_X}\n").message.find("give_X") != std::string::npos);
}

TEST_CASE("no cache for all stages, or for those that are named") {
  LowerOptions options = testing::plain_options();
  const std::string text = "FROM a AS one\nFROM b\nFROM c AS two\n";
  options.no_cache_filter = {"TWO", ""};
  const StagesFile some(text, options);
  CHECK_FALSE(some.table.stages()[0].ignore_cache);
  CHECK_FALSE(some.table.stages()[1].ignore_cache);
  CHECK(some.table.stages()[2].ignore_cache);
  options.no_cache = true;
  const StagesFile all(text, options);
  CHECK(all.table.stages()[0].ignore_cache);
  CHECK(all.table.stages()[1].ignore_cache);
}

TEST_CASE("a named context of a stage's name replaces it") {
  LowerOptions options = testing::plain_options();
  options.named_contexts = {{"base", "local:/dir"}};
  const StagesFile file("FROM base AS x\nFROM busybox AS base\nFROM base\n", options);
  CHECK_FALSE(file.table.stages()[0].replaced_by.has_value());
  REQUIRE(file.table.stages()[1].replaced_by.has_value());
  CHECK(file.table.stages()[1].replaced_by->kind == NamedContext::Kind::local);
  CHECK(file.table.stages()[2].base_stage == 1);
}

TEST_CASE("from= is found before the rest of a mount can be read") {
  CHECK(mount_from("type=$T,from=stage,target=/x") == "stage");
  CHECK(mount_from("FROM=stage,ro") == "stage");
  CHECK(mount_from("\"source=a,from=b\",\"from=c\"") == "c");
  CHECK(mount_from("\"from=a\"\"b\"") == "a\"b");
  CHECK(mount_from("target=/x") == "");
  CHECK(mount_from("from=a$") == "a$");
  CHECK_THROWS_WITH_AS(mount_from("from=$x"), "'from' doesn't support variable expansion, define alias stage instead",
                       Error);
}

}  // namespace
}  // namespace cbuild::frontend
