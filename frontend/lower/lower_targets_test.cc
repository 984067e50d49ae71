// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using Texts = std::vector<std::string>;

struct SeveralTargets : testing::Build {
  LoweredTargets run(const std::string& text, const Texts& targets) {
    return lower_targets(parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text)), options, targets,
                         images);
  }
};

std::size_t count_commands(const LoweredTargets& lowered) {
  std::size_t count = 0;
  for (solver::VertexId id = 0; id < lowered.graph.size(); ++id)
    count += std::holds_alternative<solver::ExecOp>(lowered.graph[id].op);
  return count;
}

}  // namespace

TEST_CASE_FIXTURE(SeveralTargets, "work that two targets share is one vertex, and their base is asked for once") {
  const LoweredTargets lowered =
      run("FROM a AS base\nRUN shared\n"
          "FROM base AS x\nRUN only x\nENV X=1\n"
          "FROM base AS y\nRUN only y\n",
          {"x", "y"});
  REQUIRE(lowered.targets.size() == 2);
  CHECK(lowered.targets[0].stage_name == "x");
  CHECK(lowered.targets[1].stage_name == "y");
  CHECK(lowered.targets[0].layer_vertices[0] == lowered.targets[1].layer_vertices[0]);
  CHECK(lowered.targets[0].result != lowered.targets[1].result);
  CHECK(count_commands(lowered) == 3);
  CHECK(images.requests.size() == 1);
  CHECK(lowered.targets[0].config.config.env.back() == "X=1");
  CHECK(lowered.targets[1].config.config.env.back() != "X=1");
}

TEST_CASE_FIXTURE(SeveralTargets, "targets of the same content are one vertex whatever their names") {
  const LoweredTargets lowered = run("FROM a AS x\nRUN it\nFROM a AS y\nRUN it\n", {"x", "y"});
  CHECK(lowered.targets[0].result == lowered.targets[1].result);
  CHECK(count_commands(lowered) == 1);
}

TEST_CASE_FIXTURE(SeveralTargets, "a target may be a stage of another one") {
  const LoweredTargets lowered = run("FROM a AS x\nRUN 1\nFROM x AS y\nRUN 2\n", {"y", "x"});
  CHECK(lowered.targets[0].layer_vertices.size() == 2);
  CHECK(lowered.targets[1].result == lowered.targets[0].layer_vertices[0]);
  CHECK(lowered.targets[1].config.history.size() + 1 == lowered.targets[0].config.history.size());
}

TEST_CASE_FIXTURE(SeveralTargets, "each target has its own TARGETSTAGE") {
  const LoweredTargets lowered =
      run("FROM a AS base\nRUN plain\n"
          "FROM base AS named\nARG TARGETSTAGE\nRUN who\n"
          "FROM named AS x\nFROM named AS y\n",
          {"x", "y"});
  CHECK(lowered.targets[0].layer_vertices[0] == lowered.targets[1].layer_vertices[0]);
  CHECK(lowered.targets[0].result != lowered.targets[1].result);
  const auto& environment = std::get<solver::ExecOp>(lowered.graph[lowered.targets[1].result].op).environment;
  CHECK(std::find(environment.begin(), environment.end(), "TARGETSTAGE=y") != environment.end());
}

TEST_CASE_FIXTURE(SeveralTargets, "triggers of a stage that several targets reach are announced once") {
  images.images["t"] = images.plain_image();
  images.images["t"].config.on_build = {"RUN trigger"};
  CHECK(run("FROM t AS base\nFROM base AS x\nFROM base AS y\n", {"x", "y"}).notes ==
        Texts{"# Executing 1 build trigger"});
}

TEST_CASE_FIXTURE(SeveralTargets, "all names that are not stages are reported before any image is asked for") {
  try {
    run("FROM a AS builder\nFROM b AS x\n", {"x", "biulder", "nothing"});
    FAIL("accepted");
  } catch (const DiagnosticError& e) {
    REQUIRE(e.diagnostics().size() == 2);
    CHECK(e.diagnostics()[0].message == "target stage \"biulder\" could not be found");
    CHECK(e.diagnostics()[0].hint == "did you mean builder?");
    CHECK(e.diagnostics()[1].message == "target stage \"nothing\" could not be found");
  }
  CHECK(images.requests.empty());
}

}  // namespace cbuild::frontend
