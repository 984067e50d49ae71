// SPDX-License-Identifier: Apache-2.0
// Draws steps as dot, mermaid or JSON from the same values: nodes grouped by stage, an edge for each input, a colour
// for each state. Names come from Dockerfiles and may be hostile, so every text is cleaned and quoted by the rules of
// the language. Of the inputs of a step on the longest way only the one that ended last is on that way, which the times
// show.
#include "cli/report/graph_picture.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/text.h"
#include "cli/report/text_output.h"
#include "solver/graph/graph_text.h"
#include "solver/graph/step_identity.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;
using solver::clean_label;
using solver::dot_quote;
using solver::mermaid_quote;

constexpr std::size_t kLabelWidth = 60;

struct Look {
  const char* state;
  const char* fill;
  const char* line;
};
constexpr Look kLooks[] = {
    {"cached", "#dbe9f6", "#4a7ebb"},    {"ran", "#d9f2d9", "#3c8d40"},       {"failed", "#f9d0d0", "#c0392b"},
    {"cancelled", "#f5e6cc", "#b9770e"}, {"would-run", "#fff3c4", "#b7950b"}, {"not-needed", "#eeeeee", "#999999"},
};
constexpr const char* kCritical = "#c0392b";

const Look& look_of(const std::string& state) {
  const auto found =
      std::find_if(std::begin(kLooks), std::end(kLooks), [&](const Look& look) { return state == look.state; });
  return found == std::end(kLooks) ? kLooks[5] : *found;
}

bool is_source(const engine::StepEntry& step) {
  return step.type == "image" || step.type == "local" || step.type == "git" || step.type == "http";
}

/// First line: the instruction; second: its end.
std::vector<std::string> label_lines(const engine::StepEntry& step) {
  const std::string name =
      clean_label(std::string(solver::without_position(step.name.empty() ? step.type : step.name)));
  std::string second = step.state == "not-needed" ? std::string() : step.state;
  if (step.duration_ns > 0) second += cat(second.empty() ? "" : " ", format_seconds(step.duration_ns));
  if (step.critical) second += cat(", at ", format_seconds(step.path_ns));
  std::vector<std::string> lines{shorten(name, kLabelWidth)};
  if (!second.empty()) lines.push_back(second);
  return lines;
}

struct Edge {
  std::int64_t from = 0;
  std::uint32_t to = 0;
  std::size_t index = 0;
  bool critical = false;
};

/// Of a critical step, only the input that ended last is on the longest way.
std::vector<Edge> edges_of(const std::vector<engine::StepEntry>& steps) {
  std::unordered_map<std::int64_t, const engine::StepEntry*> by_id;
  for (const engine::StepEntry& step : steps) by_id[step.id] = &step;
  std::vector<Edge> edges;
  for (const engine::StepEntry& step : steps)
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      const auto from = by_id.find(step.inputs[i]);
      if (from == by_id.end()) continue;
      const bool critical =
          step.critical && from->second->critical && from->second->path_ns + step.duration_ns == step.path_ns;
      edges.push_back({step.inputs[i], step.id, i, critical});
    }
  return edges;
}

/// Stages in the order in which they first appear, each with its steps; steps without a stage come first.
std::vector<std::pair<std::string, std::vector<const engine::StepEntry*>>> by_stage(
    const std::vector<engine::StepEntry>& steps) {
  std::vector<std::pair<std::string, std::vector<const engine::StepEntry*>>> stages{{"", {}}};
  for (const engine::StepEntry& step : steps) {
    auto stage = std::find_if(stages.begin(), stages.end(), [&](const auto& s) { return s.first == step.stage; });
    if (stage == stages.end()) stage = stages.insert(stages.end(), {step.stage, {}});
    stage->second.push_back(&step);
  }
  return stages;
}

std::string dot_node(const engine::StepEntry& step, const std::string& indent) {
  const Look& look = look_of(step.state);
  // dot_quote escapes backslashes, so the line break is put between quoted parts.
  std::string label;
  for (const std::string& line : label_lines(step)) {
    const std::string quoted = dot_quote(line);
    label += cat(label.empty() ? "" : "\\n", quoted.substr(1, quoted.size() - 2));
  }
  return cat(indent, "v", step.id, " [label=\"", label, "\", fillcolor=\"", look.fill, "\", color=\"",
             step.critical ? kCritical : look.line, "\"", step.critical ? ", penwidth=2.5" : "",
             is_source(step) ? ", shape=ellipse" : "", ", tooltip=", dot_quote(clean_label(why(step))), "];\n");
}

std::string draw_dot(const std::string& title, const std::vector<engine::StepEntry>& steps) {
  std::string out = cat("digraph build {\n  rankdir=LR;\n  label=", dot_quote(clean_label(title)),
                        ";\n  labelloc=t;\n  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n");
  unsigned cluster = 0;
  for (const auto& [stage, members] : by_stage(steps)) {
    if (stage.empty()) {
      for (const engine::StepEntry* step : members) out += dot_node(*step, "  ");
      continue;
    }
    out += cat("  subgraph cluster_", cluster++, " {\n    label=", dot_quote(clean_label(stage)),
               ";\n    color=\"#aaaaaa\";\n");
    for (const engine::StepEntry* step : members) out += dot_node(*step, "    ");
    out += "  }\n";
  }
  for (const Edge& edge : edges_of(steps)) {
    std::vector<std::string> options;
    if (edge.index > 0) options.emplace_back("style=dashed");
    if (edge.critical) options.push_back(cat("color=\"", kCritical, "\", penwidth=2.5"));
    out += cat("  v", edge.from, " -> v", edge.to, options.empty() ? "" : cat(" [", join(options, ", "), "]"), ";\n");
  }
  return out + "}\n";
}

std::string mermaid_node(const engine::StepEntry& step, const std::string& indent) {
  std::string label;
  for (const std::string& line : label_lines(step)) {
    const std::string quoted = mermaid_quote(line);
    label += cat(label.empty() ? "" : "<br/>", quoted.substr(1, quoted.size() - 2));
  }
  const bool source = is_source(step);
  return cat(indent, "v", step.id, source ? "([\"" : "[\"", label, source ? "\"])" : "\"]",
             ":::", replace_all(look_of(step.state).state, "-", ""), "\n");
}

std::string draw_mermaid(const std::string& title, const std::vector<engine::StepEntry>& steps) {
  std::string out = cat("---\ntitle: ", mermaid_quote(clean_label(title)), "\n---\nflowchart LR\n");
  unsigned number = 0;
  for (const auto& [stage, members] : by_stage(steps)) {
    if (!stage.empty()) out += cat("  subgraph s", number++, " [", mermaid_quote(clean_label(stage)), "]\n");
    for (const engine::StepEntry* step : members) out += mermaid_node(*step, stage.empty() ? "  " : "    ");
    if (!stage.empty()) out += "  end\n";
  }
  unsigned index = 0;
  std::string links;
  for (const Edge& edge : edges_of(steps)) {
    out += cat("  v", edge.from, edge.index == 0 ? " --> v" : " -.-> v", edge.to, '\n');
    if (edge.critical) links += cat(links.empty() ? "" : ",", index);
    ++index;
  }
  for (const Look& look : kLooks)
    out += cat("  classDef ", replace_all(look.state, "-", ""), " fill:", look.fill, ",stroke:", look.line,
               ",color:#000\n");
  for (const engine::StepEntry& step : steps)
    if (step.critical) out += cat("  style v", step.id, " stroke:", kCritical, ",stroke-width:3px\n");
  if (!links.empty()) out += cat("  linkStyle ", links, " stroke:", kCritical, ",stroke-width:3px\n");
  return out;
}

std::string draw_json(const std::string& title, const std::vector<engine::StepEntry>& steps) {
  Json out{{"title", title}, {"nodes", Json::array()}, {"edges", Json::array()}};
  for (const engine::StepEntry& step : steps) {
    Json node{{"id", step.id}, {"name", step.name}, {"type", step.type}, {"state", step.state}};
    if (!step.stage.empty()) node["stage"] = step.stage;
    if (step.line != 0) node["line"] = step.line;
    node["duration_ns"] = step.duration_ns;
    node["path_ns"] = step.path_ns;
    node["critical"] = step.critical;
    node["why"] = why(step);
    out["nodes"].push_back(std::move(node));
  }
  for (const Edge& edge : edges_of(steps))
    out["edges"].push_back({{"from", edge.from}, {"to", edge.to}, {"input", edge.index}, {"critical", edge.critical}});
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string draw_graph(const std::string& title, const std::vector<engine::StepEntry>& steps, PictureFormat format) {
  switch (format) {
    case PictureFormat::dot:
      return draw_dot(title, steps);
    case PictureFormat::mermaid:
      return draw_mermaid(title, steps);
    case PictureFormat::json:
      return draw_json(title, steps);
  }
  return {};
}

}  // namespace cbuild::cli
