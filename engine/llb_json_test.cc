// SPDX-License-Identifier: Apache-2.0
// Vertices in the JSON form of LLB, as BuildKit 0.32 writes the same steps into a provenance.
#include "engine/llb_json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::engine {
namespace {

using LlbTestJson = nlohmann::json;

constexpr solver::VertexId kNone = solver::kNoInput;

LlbTestJson written(solver::Op op, std::vector<solver::VertexId> inputs = {}, solver::ExecSettings settings = {}) {
  solver::Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = std::move(inputs);
  vertex.settings = std::move(settings);
  const LlbNames names{[](const std::string& locator) { return cat("named:", locator); },
                       [](std::string_view name) { return name == "TOKEN"; }};
  return LlbTestJson::parse(llb_json(vertex, names)).at("Op");
}

LlbTestJson only_action(const LlbTestJson& op) {
  CHECK(op.at("file").at("actions").size() == 1);
  return op.at("file").at("actions").at(0);
}

}  // namespace

TEST_CASE("sources: identifiers without passwords and paths of this machine, digests as attributes") {
  CHECK(written(solver::ImageSource{sha256("m"), "linux/arm64", {}, "x"}).at("source").at("identifier") == "named:x");
  CHECK(written(solver::LocalSource{"context", "/home/me/secret", {"a", "!b"}}) == LlbTestJson::parse(R"({"source": {
    "identifier": "local://context",
    "attrs": {"local.sharedkeyhint": "context", "local.excludepatterns": "[\"a\",\"!b\"]"}}})"));
  CHECK(written(solver::GitSource{"https://u:p@h/r.git", "abc", "main", "dir", true, false, true}) ==
        LlbTestJson::parse(R"({"source": {"identifier": "git://xxxxx:xxxxx@h/r.git#main:dir", "attrs": {
    "git.fullurl": "https://xxxxx:xxxxx@h/r.git", "git.checksum": "abc", "git.keepgitdir": "true",
    "git.skipsubmodules": "true"}}})"));
  CHECK(written(solver::HttpSource{"https://u:p@h/f", "f", sha256("f"), 0, false}) ==
        LlbTestJson::parse(cat(R"({"source": {"identifier": "https://xxxxx:xxxxx@h/f", "attrs": {"http.checksum": ")",
                               sha256("f").str(), R"(", "http.filename": "f"}}})")));
}

TEST_CASE("commands: meta, mounts by number, networks; values of secret variables are left out") {
  solver::ExecOp exec;
  exec.argv = {"/bin/sh", "-c", "x"};
  exec.environment = {"A=b", "TOKEN=hunter2"};
  exec.user = "app";
  exec.network = NetworkMode::none;
  exec.mounts = {{"/b", solver::BindMount{1, "/src", true}},
                 {"/c", solver::CacheMount{.id = "id", .sharing = solver::Sharing::locked}},
                 {"/t", solver::TmpfsMount{7}},
                 {"/run/secrets/s", solver::SecretMount{.id = "s"}},
                 {"/s.sock", solver::SshMount{.id = "default", .required = true}}};
  const LlbTestJson json = written(exec, {kNone, 5}).at("exec");
  CHECK(json.at("meta") == LlbTestJson::parse(R"({"args": ["/bin/sh", "-c", "x"], "env": ["A=b", "TOKEN=***"],
    "cwd": "/", "user": "app", "removeMountStubsRecursive": true})"));
  CHECK(json.at("network") == 2);
  CHECK(json.at("mounts") == LlbTestJson::parse(R"([{"input": -1, "dest": "/"},
    {"selector": "/src", "dest": "/b", "output": -1, "readonly": true},
    {"input": -1, "dest": "/c", "output": -1, "mountType": 3, "cacheOpt": {"ID": "id", "sharing": 2}},
    {"input": -1, "dest": "/t", "output": -1, "mountType": 4, "TmpfsOpt": {"size": 7}},
    {"input": -1, "dest": "/run/secrets/s", "output": -1, "mountType": 1,
     "secretOpt": {"ID": "s", "mode": 256, "optional": true}},
    {"input": -1, "dest": "/s.sock", "output": -1, "mountType": 2, "SSHOpt": {"ID": "default", "mode": 384}}])"));
  exec.network = NetworkMode::host;
  exec.mounts = {{"", solver::SecretMount{.id = "s", .env_name = "S", .as_file = false}}};
  const LlbTestJson other = written(exec, {3}, {.unkeyed_environment = {"B=c"}}).at("exec");
  CHECK(other.at("network") == 1);
  CHECK(other.at("mounts") == LlbTestJson::parse(R"([{"dest": "/"}])"));
  CHECK(other.at("secretenv") == LlbTestJson::parse(R"([{"ID": "s", "name": "S", "optional": true}])"));
  CHECK(other.at("meta").at("env").size() == 3);
  CHECK_FALSE(written(exec, {3}, {.own_network = true}).at("exec").contains("network"));
}

TEST_CASE("files: an action for each source, numbered on from the inputs") {
  const LlbTestJson copy =
      only_action(written(solver::FileOp{{solver::CopyAction{
                              .input = 1, .sources = {"f"}, .destination = "/f", .chown = "1:app", .chmod = "644"}}},
                          {kNone, 4}));
  CHECK(copy == LlbTestJson::parse(R"({"input": -1, "secondaryInput": 0, "output": 0, "Action": {"copy": {
    "src": "/f", "dest": "/f", "owner": {"user": {"User": {"byId": 1}}, "group": {"User": {"byName": {"name": "app"}}}},
    "mode": 420, "followSymlink": true, "dirCopyContents": true, "createDestPath": true, "allowWildcard": true,
    "allowEmptyWildcard": true, "timestamp": -1}}})"));
  const LlbTestJson two = written(
      solver::FileOp{{solver::CopyAction{.input = 1, .sources = {"a", "."}, .destination = "/d/", .chmod = "u+x"}}},
      {3, 4});
  const LlbTestJson& second = two.at("file").at("actions").at(1);
  CHECK(two.at("file").at("actions").at(0).at("output") == -1);
  CHECK(second.at("input") == 2);
  CHECK(second.at("output") == 0);
  CHECK(second.at("Action").at("copy").at("src") == "/");
  CHECK(second.at("Action").at("copy").at("mode") == -1);
  CHECK(second.at("Action").at("copy").at("modeStr") == "u+x");
  CHECK(only_action(written(solver::FileOp{{solver::MakeDirAction{"/w", 0755, {}, std::nullopt}}}, {3})) ==
        LlbTestJson::parse(R"({"input": 0, "secondaryInput": -1, "output": 0,
          "Action": {"mkdir": {"path": "/w", "mode": 493, "makeParents": true, "timestamp": -1}}})"));
  CHECK(only_action(written(solver::FileOp{{solver::MakeFileAction{"/E", "hello\n"}}}, {kNone})) ==
        LlbTestJson::parse(R"({"input": -1, "secondaryInput": -1, "output": 0,
          "Action": {"mkfile": {"path": "/E", "mode": 420, "data": "aGVsbG8K", "timestamp": -1}}})"));
}

TEST_CASE("merges and differences by the numbers of their inputs") {
  CHECK(written(solver::MergeOp{}, {3, 4}) == LlbTestJson::parse(R"({"merge": {"inputs": [{}, {"input": 1}]}})"));
  CHECK(written(solver::DiffOp{}, {kNone, 4}) ==
        LlbTestJson::parse(R"({"diff": {"lower": {"input": -1}, "upper": {}}})"));
}

TEST_CASE("names that are not UTF-8 still make JSON") {
  solver::ExecOp exec;
  exec.argv = {"\xff"};
  CHECK_NOTHROW(written(exec, {kNone}));
}

}  // namespace cbuild::engine
