// SPDX-License-Identifier: Apache-2.0
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "solver/graph/graph.h"
#include "solver/graph/graph_text.h"
#include "solver/graph/op_json.h"

namespace cbuild::solver {

namespace {

std::string_view type_name(const Op& op) {
  static constexpr std::string_view kNames[] = {"image", "local", "git",  "http",  "exec",
                                                "file",  "merge", "diff", "output"};
  static_assert(std::size(kNames) == std::variant_size_v<Op>);
  return kNames[op.index()];
}

std::string label(const Vertex& vertex) {
  return clean_label(vertex.name.empty() ? std::string(type_name(vertex.op)) : vertex.name);
}

template <typename Edge>
void for_each_edge(const Graph& graph, const std::vector<VertexId>& ids, const Edge& edge) {
  for (const VertexId id : ids) {
    const std::vector<VertexId>& inputs = graph[id].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] != kNoInput) edge(inputs[i], id, i);
    }
  }
}

/// Input 0, the root a step works on, is a solid line; other inputs are dashed.
std::string format_dot(const Graph& graph, const std::vector<VertexId>& ids) {
  std::string out = "digraph build {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const VertexId id : ids) {
    const Vertex& vertex = graph[id];
    const std::string_view shape = is_source(vertex.op) ? ", shape=ellipse" : "";
    out += cat("  v", id, " [label=", dot_quote(label(vertex)), shape, "];\n");
  }
  for_each_edge(graph, ids, [&](VertexId from, VertexId to, std::size_t index) {
    out += cat("  v", from, " -> v", to, index == 0 ? "" : " [style=dashed]", ";\n");
  });
  return out + "}\n";
}

std::string format_mermaid(const Graph& graph, const std::vector<VertexId>& ids) {
  std::string out = "flowchart LR\n";
  for (const VertexId id : ids) {
    const Vertex& vertex = graph[id];
    const bool source = is_source(vertex.op);
    out += cat("  v", id, source ? "([" : "[", mermaid_quote(label(vertex)), source ? "])" : "]", '\n');
  }
  for_each_edge(graph, ids, [&](VertexId from, VertexId to, std::size_t index) {
    out += cat("  v", from, index == 0 ? " --> v" : " -.-> v", to, '\n');
  });
  return out;
}

nlohmann::ordered_json places(const Vertex& vertex) {
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const Span& span : vertex.spans) {
    if (span) result.push_back(cat(span.source->name(), ':', span.source->position(span.begin).line));
  }
  return result;
}

nlohmann::ordered_json vertex_json(const Graph& graph, VertexId id) {
  const Vertex& vertex = graph[id];
  nlohmann::ordered_json out{{"id", id}, {"type", type_name(vertex.op)}, {"name", vertex.name}};
  if (!vertex.stage.empty()) out["stage"] = vertex.stage;
  nlohmann::ordered_json inputs = nlohmann::ordered_json::array();
  for (const VertexId input : vertex.inputs) {
    inputs.push_back(input == kNoInput ? nlohmann::ordered_json() : nlohmann::ordered_json(input));
  }
  out["inputs"] = std::move(inputs);
  if (vertex.ignore_cache) out["ignore_cache"] = true;
  if (nlohmann::ordered_json at = places(vertex); !at.empty()) out["source"] = std::move(at);
  out["digest"] = vertex.digest.str();
  out["op"] = op_json(vertex.op, vertex.settings);
  return out;
}

std::string format_json(const Graph& graph, const std::vector<VertexId>& ids, const std::vector<VertexId>& targets) {
  nlohmann::ordered_json out;
  out["targets"] = nlohmann::ordered_json::array();
  for (const VertexId target : targets) {
    if (target != kNoInput) out["targets"].push_back(target);
  }
  out["vertices"] = nlohmann::ordered_json::array();
  for (const VertexId id : ids) out["vertices"].push_back(vertex_json(graph, id));
  return out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string format_graph(const Graph& graph, const std::vector<VertexId>& targets, GraphFormat format) {
  const std::vector<VertexId> ids = graph.reachable(targets);
  switch (format) {
    case GraphFormat::dot:
      return format_dot(graph, ids);
    case GraphFormat::mermaid:
      return format_mermaid(graph, ids);
    case GraphFormat::json:
      return format_json(graph, ids, targets);
  }
  CBUILD_CHECK(!"a graph format");
  return {};
}

}  // namespace cbuild::solver
