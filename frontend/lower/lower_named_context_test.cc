// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::Build;
using testing::FakeImages;
using testing::last_op;
using testing::own_history;
using testing::result_vertex;
using testing::step_names;
using Texts = std::vector<std::string>;

TEST_CASE("an image in FROM is replaced by another, config and all") {
  Build build;
  build.images.images["docker-image://alpine:3"] = FakeImages::plain_image();
  build.images.images["docker-image://alpine:3"].config.env = {"PATH=/p", "FROM_CONTEXT=1"};
  build.options.named_contexts = {{"busybox", "docker-image://alpine:3"}};
  const Lowered lowered = build.run("FROM busybox\nRUN x\n");
  CHECK(build.images.requests.at(0).first == "docker-image://alpine:3");
  CHECK(step_names(lowered) == Texts{"[1/2] FROM busybox (alpine:3)", "[2/2] RUN x"});
  CHECK(lowered.target.config.config.env == Texts{"PATH=/p", "FROM_CONTEXT=1"});
  CHECK(lowered.target.base_name.starts_with("docker.io/library/alpine:3@sha256:"));
}

TEST_CASE("an image by layout") {
  Build build;
  build.options.named_contexts = {{"base:1", "oci-layout:///d@sha256:1"}};
  const Lowered lowered = build.run("FROM base:1\n");
  CHECK(build.images.requests.at(0).first == "oci-layout:///d@sha256:1");
  CHECK(result_vertex(lowered).name == "[1/1] FROM base:1 (OCI load from client)");
}

TEST_CASE("scratch as a context has no files and no config") {
  Build build;
  build.options.named_contexts = {{"base", "docker-image://scratch"}};
  const Lowered lowered = build.run("FROM base\nCOPY --from=base x /\n");
  CHECK(result_vertex(lowered).inputs == std::vector<solver::VertexId>{solver::kNoInput, solver::kNoInput});
  CHECK(lowered.target.config.config.working_dir == "/");
  CHECK(build.images.requests.empty());
}

TEST_CASE("a directory is read in place with its own ignore file") {
  Build build;
  Texts asked;
  build.options.named_contexts = {{"deps", "local:/deps"}};
  build.options.callbacks.named_context_ignore = [&](const std::string& directory) {
    asked.push_back(directory);
    return Texts{"*.tmp"};
  };
  const Lowered lowered = build.run("FROM a\nCOPY --from=deps x /\nRUN --mount=from=deps,target=/d y\n");
  CHECK(last_op<solver::LocalSource>(lowered) == solver::LocalSource{"deps", "/deps", {"*.tmp"}});
  CHECK(asked == Texts{"/deps"});
}

TEST_CASE("a directory as a base becomes a layer") {
  Build build;
  build.options.named_contexts = {{"rootfs", "local:/r"}};
  const Lowered lowered = build.run("FROM rootfs\n");
  const auto& copy = std::get<solver::CopyAction>(last_op<solver::FileOp>(lowered).actions.at(0));
  CHECK(copy.sources == Texts{"."});
  CHECK(copy.destination == "/");
  CHECK(lowered.target.config.history.empty());
}

TEST_CASE("a context in a stage's place drops the stage's instructions, its base and its history") {
  Build build;
  build.options.named_contexts = {{"mid", "docker-image://ready"}};
  const Lowered lowered = build.run("FROM missing AS mid\nRUN expensive\nFROM mid AS last\nRUN x\n");
  CHECK(step_names(lowered) == Texts{"[context mid] ready", "[last 1/1] RUN x"});
  CHECK(own_history(lowered) == Texts{"RUN /bin/sh -c x # buildkit"});
}

TEST_CASE("a directory in a stage's place is copied from without being copied first") {
  Build build;
  build.options.named_contexts = {{"assets", "local:/assets"}};
  const Lowered lowered = build.run("FROM node AS assets\nRUN build\nFROM a\nCOPY --from=assets dist /\n");
  CHECK(std::holds_alternative<solver::LocalSource>(lowered.graph[result_vertex(lowered).inputs.at(1)].op));
  CHECK(build.images.requests.size() == 1);
}

TEST_CASE("a directory in a stage's place is made a root where it is one") {
  Build build;
  build.options.named_contexts = {{"base", "local:/r"}};
  const Lowered derived = build.run("FROM a AS base\nFROM base\nRUN x\n");
  CHECK(std::holds_alternative<solver::FileOp>(derived.graph[result_vertex(derived).inputs.at(0)].op));
  build.options.target = "base";
  CHECK(std::holds_alternative<solver::FileOp>(result_vertex(build.run("FROM a AS base\nFROM base\nRUN x\n")).op));
}

TEST_CASE("a replaced stage may be used before the place where it stands") {
  Build build;
  build.options.named_contexts = {{"later", "docker-image://ready"}};
  CHECK(build.message("FROM a\nCOPY --from=later x /\nFROM b AS later\nFROM 0a\n") == "");
  build.options.target = "first";
  CHECK(build.message("FROM a AS first\nCOPY --from=later x /\nFROM b AS later\n") == "");
}

TEST_CASE("contexts that nothing uses are not looked at") {
  Build build;
  build.options.named_contexts = {{"broken", "docker-image://missing"}, {"odd", "nothing"}};
  CHECK(build.message("FROM a\n") == "");
  CHECK(build.message("FROM broken\n") == "context broken: docker-image://missing: not found");
  CHECK(build.message("FROM odd\n") == "invalid context specifier nothing for odd");
}

TEST_CASE("repositories and files as contexts") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  build.pinner.commits["https://h/x.git#main"] = {std::string(40, 'a'), ""};
  build.pinner.files["https://h/f.txt"] = {sha256("f"), 7};
  build.options.named_contexts = {{"repo", "https://h/x.git#main:sub"}, {"file", "https://h/f.txt"}};
  const Lowered lowered = build.run("FROM scratch\nCOPY --from=repo y /\nCOPY --from=file context /f\n");
  CHECK(last_op<solver::GitSource>(lowered) ==
        solver::GitSource{"https://h/x.git", std::string(40, 'a'), "main", "sub", false, true});
  CHECK(last_op<solver::HttpSource>(lowered) ==
        solver::HttpSource{"https://h/f.txt", "context", sha256("f"), 7, false});
}

TEST_CASE("the platform decides between contexts of one name") {
  Build build;
  build.options.named_contexts = {{"b::linux/arm64", "docker-image://arm"}, {"b", "docker-image://any"}};
  build.run("FROM --platform=linux/arm64 b AS x\nFROM b\nCOPY --from=x / /\n");
  std::vector<std::string> asked;
  for (const auto& [reference, platform] : build.images.requests) asked.push_back(cat(reference, " ", platform));
  std::sort(asked.begin(), asked.end());
  CHECK(asked == Texts{"docker-image://any linux/amd64", "docker-image://arm linux/arm64"});
}

}  // namespace
}  // namespace cbuild::frontend
