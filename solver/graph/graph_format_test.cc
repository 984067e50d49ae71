// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "solver/graph/graph.h"
#include "solver/graph/test_vertices.h"

namespace cbuild::solver {
namespace {

struct Sample {
  Graph graph;
  VertexId target;

  Sample() {
    const VertexId base = graph.add(fakes::image("alpine"));
    const VertexId context = graph.add(fakes::directory("/ctx"));
    const VertexId made = graph.add(fakes::run("RUN make", {base}));
    graph.add(fakes::run("RUN unused", {base}));
    target = graph.add(fakes::copy("COPY a", made, context, "a"));
  }
};

TEST_CASE("dot") {
  const Sample sample;
  CHECK(format_graph(sample.graph, {sample.target}, GraphFormat::dot) ==
        "digraph build {\n"
        "  rankdir=LR;\n"
        "  node [shape=box];\n"
        "  v0 [label=\"alpine\", shape=ellipse];\n"
        "  v1 [label=\"/ctx\", shape=ellipse];\n"
        "  v2 [label=\"RUN make\"];\n"
        "  v4 [label=\"COPY a\"];\n"
        "  v0 -> v2;\n"
        "  v2 -> v4;\n"
        "  v1 -> v4 [style=dashed];\n"
        "}\n");
}

TEST_CASE("mermaid") {
  const Sample sample;
  CHECK(format_graph(sample.graph, {sample.target}, GraphFormat::mermaid) ==
        "flowchart LR\n"
        "  v0([\"alpine\"])\n"
        "  v1([\"/ctx\"])\n"
        "  v2[\"RUN make\"]\n"
        "  v4[\"COPY a\"]\n"
        "  v0 --> v2\n"
        "  v2 --> v4\n"
        "  v1 -.-> v4\n");
}

TEST_CASE("json") {
  const Sample sample;
  const std::string text = format_graph(sample.graph, {sample.target, kNoInput}, GraphFormat::json);
  CHECK(text == format_graph(Sample().graph, {sample.target, kNoInput}, GraphFormat::json));
  const auto json = nlohmann::json::parse(text);
  CHECK(json["targets"] == nlohmann::json{4});
  REQUIRE(json["vertices"].size() == 4);
  const auto& made = json["vertices"][2];
  CHECK(made["id"] == 2);
  CHECK(made["type"] == "exec");
  CHECK(made["name"] == "RUN make");
  CHECK(made["inputs"] == nlohmann::json{0});
  CHECK(made["digest"] == sample.graph[2].digest.str());
  CHECK(made["op"] == nlohmann::json{{"argv", {"/bin/sh", "-c", "RUN make"}}});
  CHECK(json["vertices"][3]["op"]["actions"][0]["sources"] == nlohmann::json{"a"});
}

TEST_CASE("json shows every field that is not at its default, but no password of a proxy") {
  ExecOp exec;
  exec.argv = {"x"};
  exec.mounts = {{"/a", BindMount{1, "/s", false}},
                 {"/b", CacheMount{"id", Sharing::locked, 2, "/t", 0700, 1, 2, true}},
                 {"/c", TmpfsMount{5}},
                 {"/d", SecretMount{"s", "S", false, true, 0444, 3, 4}},
                 {"/e", SshMount{"default", true, 0640, 5, 6}}};
  exec.files = {{"/f", "text", 0644}};
  exec.network = NetworkMode::none;
  exec.host_names = {"db"};
  Vertex vertex;
  vertex.op = exec;
  vertex.settings.extra_hosts = {"db=10.0.0.1"};
  vertex.settings.ulimits = {{"nofile", 1, 2}};
  vertex.settings.resources = {7, -1, 2, 3, 4, "0-1", "0"};
  vertex.settings.proxy_environment = {"http_proxy=http://user:password@host"};
  vertex.inputs = {kNoInput};
  vertex.stage = "stage";
  vertex.ignore_cache = true;
  const auto text = std::make_shared<const SourceText>("Dockerfile", "FROM x\nRUN x\n");
  vertex.spans = {{text, 7, 12}};
  Graph graph;
  const VertexId id = graph.add(vertex);
  const std::string out = format_graph(graph, {id}, GraphFormat::json);
  CHECK(out.find("password") == std::string::npos);
  const auto json = nlohmann::json::parse(out)["vertices"][0];
  CHECK(json["inputs"] == nlohmann::json::array({nullptr}));
  CHECK(json["stage"] == "stage");
  CHECK(json["ignore_cache"] == true);
  CHECK(json["source"] == nlohmann::json{"Dockerfile:2"});
  const auto expected = nlohmann::json::parse(R"({
    "argv": ["x"],
    "mounts": [
      {"target": "/a", "type": "bind", "input": 1, "source": "/s", "read_only": false},
      {"target": "/b", "type": "cache", "id": "id", "sharing": "locked", "input": 2, "source": "/t", "mode": "0700", "uid": 1,
       "gid": 2, "read_only": true},
      {"target": "/c", "type": "tmpfs", "size": 5},
      {"target": "/d", "type": "secret", "id": "s", "env": "S", "as_file": false, "required": true, "mode": "0444", "uid": 3,
       "gid": 4},
      {"target": "/e", "type": "ssh", "id": "default", "required": true, "mode": "0640", "uid": 5, "gid": 6}],
    "files": [{"path": "/f", "content": "text", "mode": "0644"}],
    "network": "none",
    "extra_hosts": ["db=10.0.0.1"],
    "proxy_environment": ["http_proxy"],
    "ulimits": ["nofile=1:2"],
    "memory_bytes": 7, "memory_swap_bytes": -1, "cpu_shares": 2, "cpu_period_us": 3, "cpu_quota_us": 4,
    "cpuset_cpus": "0-1", "cpuset_mems": "0"})");
  CHECK(json["op"] == expected);
}

TEST_CASE("hostile names do no harm") {
  Graph graph;
  const VertexId id = graph.add(fakes::run("\"];\nevil \\\" [label=x]\x1b[2J \xff \xc2\x9b `<b>&#", {kNoInput}, "x"));
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(format_graph(graph, {id}, GraphFormat::dot) ==
        "digraph build {\n  rankdir=LR;\n  node [shape=box];\n"
        "  v0 [label=\"\\\"]; evil \\\\\\\" [label=x]" +
            replaced + "[2J " + replaced + " " + replaced + " `<b>&#\"];\n}\n");
  CHECK(format_graph(graph, {id}, GraphFormat::mermaid) == "flowchart LR\n  v0[\"#quot;]; evil #92;#quot; [label=x]" +
                                                               replaced + "[2J " + replaced + " " + replaced +
                                                               " #96;#lt;b#gt;#amp;#35;\"]\n");
  const std::string json = format_graph(graph, {id}, GraphFormat::json);
  for (const char c : json) CHECK((c == '\n' || (c >= 0x20 && c < 0x7f)));
  CHECK(nlohmann::json::parse(json)["vertices"][0]["name"].get<std::string>().starts_with("\"];\nevil"));
}

}  // namespace
}  // namespace cbuild::solver
