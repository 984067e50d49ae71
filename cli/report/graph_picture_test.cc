// SPDX-License-Identifier: Apache-2.0
#include "cli/report/graph_picture.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace cbuild::cli {
namespace {

std::vector<engine::StepEntry> steps() {
  engine::StepEntry base, run, copy;
  base.id = 0;
  base.name = "[build 1/2] FROM x";
  base.stage = "build";
  base.type = "image";
  base.state = "cached";
  run.id = 1;
  run.name = "[build 2/2] RUN echo \"a\\b\" <&> `c`\x1b";
  run.stage = "build";
  run.type = "exec";
  run.state = "ran";
  run.inputs = {0};
  run.duration_ns = run.path_ns = 2'000'000'000;
  run.critical = true;
  run.reason = {solver::Reason::Kind::never_built, "no cached result", {}, 0};
  copy.id = 2;
  copy.name = "[2/2] COPY --from=build /a /a";
  copy.type = "file";
  copy.state = "failed";
  copy.inputs = {-1, 1};
  copy.duration_ns = 1'000'000'000;
  copy.path_ns = 3'000'000'000;
  copy.critical = true;
  return {base, run, copy};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("DOT: boxes for stages, states as colours, the longest way in red, dashed where only files are read") {
  const std::string dot = draw_graph("t \"x\"", steps(), PictureFormat::dot);
  CHECK(has(dot, "label=\"t \\\"x\\\"\""));
  CHECK(has(dot, "subgraph cluster_0 {\n    label=\"build\""));
  CHECK(has(dot, "v0 [label=\"FROM x\\ncached\", fillcolor=\"#dbe9f6\", color=\"#4a7ebb\", shape=ellipse"));
  CHECK(has(dot, "RUN echo \\\"a\\\\b\\\" <&> `c`\xEF\xBF\xBD\\nran 2.0s, at 2.0s"));
  CHECK(has(dot, "tooltip=\"no cached result\""));
  CHECK(has(dot, "v0 -> v1;\n"));
  CHECK(has(dot, "v1 -> v2 [style=dashed, color=\"#c0392b\", penwidth=2.5];\n"));
  CHECK(draw_graph("t \"x\"", steps(), PictureFormat::dot) == dot);
}

TEST_CASE("Mermaid") {
  const std::string text = draw_graph("t", steps(), PictureFormat::mermaid);
  CHECK(has(text, "flowchart LR\n"));
  CHECK(has(text, "  subgraph s0 [\"build\"]\n"));
  CHECK(has(text, "v0([\"FROM x<br/>cached\"]):::cached\n"));
  CHECK(has(text, "RUN echo #quot;a#92;b#quot; #lt;#amp;#gt; #96;c#96;"));
  CHECK(has(text, "v1 -.-> v2\n"));
  CHECK(has(text, "linkStyle 1 stroke:#c0392b"));
  CHECK(has(text, "style v2 stroke:#c0392b"));
}

TEST_CASE("JSON") {
  const auto json = nlohmann::json::parse(draw_graph("t", steps(), PictureFormat::json));
  REQUIRE(json["nodes"].size() == 3);
  CHECK(json["nodes"][1]["state"] == "ran");
  CHECK(json["nodes"][1]["why"] == "no cached result");
  CHECK(json["nodes"][2]["path_ns"] == 3'000'000'000);
  REQUIRE(json["edges"].size() == 2);
  CHECK(json["edges"][1] == nlohmann::json{{"from", 1}, {"to", 2}, {"input", 1}, {"critical", true}});
}

TEST_CASE("a build without steps is still a graph") {
  CHECK(has(draw_graph("empty", {}, PictureFormat::dot), "digraph build"));
  CHECK(nlohmann::json::parse(draw_graph("empty", {}, PictureFormat::json))["nodes"].empty());
}

}  // namespace
}  // namespace cbuild::cli
