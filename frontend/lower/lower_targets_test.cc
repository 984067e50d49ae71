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

TEST_CASE_FIXTURE(SeveralTargets, "what platforms share is one vertex, in the order of the platforms otherwise") {
  options.platform_given = options.multi_platform = true;
  for (const char* name : {"linux/arm64", "linux/amd64"}) options.platforms.push_back(*oci::parse_platform(name));
  const LoweredTargets lowered =
      run("FROM --platform=$BUILDPLATFORM tools AS gen\nRUN generate\n"
          "FROM --platform=$BUILDPLATFORM tools AS cross\nARG TARGETARCH\nRUN compile\n"
          "FROM base\nCOPY --from=gen /a /a\nCOPY --from=cross /b /b\nRUN install\n",
          {""});
  REQUIRE(lowered.targets.size() == 2);
  CHECK(lowered.targets[0].platform.str() == "linux/arm64");
  CHECK(lowered.targets[1].platform.str() == "linux/amd64");
  CHECK(lowered.targets[0].config.platform.str() == "linux/arm64");
  CHECK(lowered.targets[1].config.platform.str() == "linux/amd64");
  Texts commands;
  for (solver::VertexId id = 0; id < lowered.graph.size(); ++id)
    if (std::holds_alternative<solver::ExecOp>(lowered.graph[id].op)) commands.push_back(lowered.graph[id].name);
  CHECK(commands == Texts{"[linux/amd64 gen 2/2] RUN generate", "[linux/amd64->arm64 cross 2/2] RUN compile",
                          "[linux/arm64 stage-2 4/4] RUN install", "[linux/amd64 cross 2/2] RUN compile",
                          "[linux/amd64 stage-2 4/4] RUN install"});
  using Requests = std::vector<std::pair<std::string, std::string>>;
  Requests asked = images.requests;
  std::sort(asked.begin(), asked.end());
  CHECK(asked == Requests{{"base", "linux/amd64"}, {"base", "linux/arm64"}, {"tools", "linux/amd64"}});
}

TEST_CASE_FIXTURE(SeveralTargets, "a context of one platform stands in for that platform only") {
  options.named_contexts = {{"base::linux/arm64", "docker-image://for-arm"}};
  for (const char* name : {"linux/amd64", "linux/arm64"}) options.platforms.push_back(*oci::parse_platform(name));
  run("FROM base\n", {""});
  using Requests = std::vector<std::pair<std::string, std::string>>;
  CHECK(images.requests == Requests{{"base", "linux/amd64"}, {"docker-image://for-arm", "linux/arm64"}});
}

TEST_CASE_FIXTURE(SeveralTargets, "each target is there for each platform, target after target") {
  for (const char* name : {"linux/amd64", "linux/arm64"}) options.platforms.push_back(*oci::parse_platform(name));
  Texts found;
  for (const LoweredTarget& target : run("FROM a AS x\nFROM b AS y\n", {"y", "x"}).targets)
    found.push_back(cat(target.target, " ", target.platform.str()));
  CHECK(found == Texts{"y linux/amd64", "y linux/arm64", "x linux/amd64", "x linux/arm64"});
}

TEST_CASE_FIXTURE(SeveralTargets, "checks report a finding once however many platforms are built") {
  Checks checks;
  options.reports.checks = &checks;
  for (const char* name : {"linux/amd64", "linux/arm64"}) options.platforms.push_back(*oci::parse_platform(name));
  run("FROM --platform=$TARGETPLATFORM a\n", {""});
  CHECK(checks.findings().size() == 1);
}

}  // namespace cbuild::frontend
