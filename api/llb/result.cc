// SPDX-License-Identifier: Apache-2.0
// A result as an image (lowering.h): the layers that were made here, from the result down to the base, and the config
// of the client or a bare one. The exporter counts the layers of the base by the config's diff ids and gives each later
// history entry with a layer the time of one, so both are made to fit here.
#include <algorithm>

#include "api/llb/lowering.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using solver::VertexId;

/// The layers of a result, bottom first, as far as a vertex makes just one.
struct Layers {
  VertexId base = solver::kNoInput;  ///< an image; none if it is scratch or cannot be told
  std::vector<VertexId> own;
};

Layers layers_of(const solver::Graph& graph, VertexId result) {
  Layers out;
  for (VertexId at = result; at != solver::kNoInput;) {
    const solver::Vertex& vertex = graph[at];
    if (std::holds_alternative<solver::ImageSource>(vertex.op)) {
      out.base = at;
      break;
    }
    if (std::holds_alternative<solver::MergeOp>(vertex.op)) {
      for (std::size_t i = vertex.inputs.size(); i > 1; --i) {
        const std::vector<VertexId> upper = layers_of(graph, vertex.inputs[i - 1]).own;
        out.own.insert(out.own.end(), upper.rbegin(), upper.rend());
      }
      at = vertex.inputs.front();
      continue;
    }
    out.own.push_back(at);
    const bool stands_on_input =
        std::holds_alternative<solver::ExecOp>(vertex.op) || std::holds_alternative<solver::FileOp>(vertex.op);
    at = stands_on_input && !vertex.inputs.empty() ? vertex.inputs.front() : solver::kNoInput;
  }
  std::reverse(out.own.begin(), out.own.end());
  return out;
}

/// The entries of the base: up to the one of its last layer, and those without a layer that already have a time.
std::size_t base_history(const oci::ImageConfig& config, std::size_t base_layers) {
  std::size_t at = 0;
  for (std::size_t layers = 0; at < config.history.size() && layers < base_layers; ++at)
    layers += config.history[at].empty_layer ? 0 : 1;
  if (base_layers > 0)
    while (at < config.history.size() && config.history[at].empty_layer && !config.history[at].created.empty()) ++at;
  return at;
}

void add_history(const solver::Graph& graph, const Layers& layers, oci::ImageConfig& config) {
  for (const VertexId own : layers.own) {
    oci::HistoryEntry entry;
    entry.created_by = graph[own].name;
    entry.comment = "buildkit.exporter.image.v0";
    config.history.push_back(std::move(entry));
  }
}

}  // namespace

frontend::LoweredTarget finish_result(const Lowering& build, const LlbResult& result, VertexId vertex) {
  frontend::LoweredTarget out;
  out.target = result.target;
  out.platform = result.platform;
  out.result = vertex;
  const Layers layers = layers_of(build.graph, vertex);
  out.layer_vertices = layers.own;
  const auto base = build.images.find(layers.base);
  const bool has_base = layers.base != solver::kNoInput && base != build.images.end();
  if (!result.config.empty()) out.config = oci::parse_image_config(result.config);
  if (out.config.platform.architecture.empty()) out.config.platform = result.platform;
  out.config.diff_ids = has_base ? base->second.diff_ids : std::vector<Digest>();
  if (result.config.empty()) {
    if (has_base) out.config.history = base->second.history;
    out.base_history = out.config.history.size();
    add_history(build.graph, layers, out.config);
  } else {
    out.base_history = base_history(out.config, out.config.diff_ids.size());
  }
  if (!has_base) return out;
  out.base_name = build.image_names.at(layers.base);
  out.base_digest = std::get<solver::ImageSource>(build.graph[layers.base].op).manifest;
  return out;
}

}  // namespace cbuild::api
