// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/llb/definition.h"
#include "api/llb/definition_graph.h"
#include "oci/image_config.h"
#include "solver/graph/graph.h"

namespace cbuild::api {

/// The graph in the making, and what was asked so far. Each kind of operation has a file of its own (source_op.cc,
/// exec_op.cc, file_op.cc, tree_op.cc) with the function that turns it into vertices.
struct Lowering {
  Lowering(const LlbOptions& llb_options, const engine::GraphSources& graph_sources)
      : options(llb_options), sources(graph_sources) {}

  const LlbOptions& options;
  const engine::GraphSources& sources;
  solver::Graph graph;
  std::map<solver::VertexId, oci::ImageConfig> images;  ///< of the image sources in the graph
  std::map<solver::VertexId, std::string> image_names;  ///< the same, as the client named them, with digest
  std::vector<std::pair<LocalRequest, std::string>> locals;
  std::vector<std::pair<LayoutRequest, std::string>> layouts;
  std::map<std::pair<std::string, std::string>, solver::VertexId> earlier;  ///< by name and platform
  unsigned depth = 0;                                                       ///< definitions within definitions

  /// The vertex that a definition's result is; of the files of a client's directory, a copy.
  solver::VertexId lower(const pb::Definition& definition);
  /// `id`, or for a client's directory, which has no layers, a copy of it.
  solver::VertexId as_tree(solver::VertexId id);
};

/// One operation and the vertices that its inputs are.
struct OpLowering {
  Lowering& build;
  const DecodedOp& op;
  std::vector<solver::VertexId> inputs;

  /// Input `index`, -1 being scratch. `field` has the index.
  solver::VertexId input(std::int64_t index, std::string_view field) const;
  /// As input(), with layers.
  solver::VertexId tree(std::int64_t index, std::string_view field) const;
  oci::Platform platform() const;
  /// With the name, places and settings that all vertices of the operation have; its inputs are for the caller.
  solver::Vertex vertex(solver::Op what) const;
  solver::VertexId add(solver::Op what, std::vector<solver::VertexId> from) const;
};

/// The vertices that are the outputs of an operation, in order. Throw Error{input} with place_of().
std::vector<solver::VertexId> lower_source(const OpLowering& lowering);
std::vector<solver::VertexId> lower_exec(const OpLowering& lowering);
std::vector<solver::VertexId> lower_file(const OpLowering& lowering);
std::vector<solver::VertexId> lower_merge(const OpLowering& lowering);
std::vector<solver::VertexId> lower_diff(const OpLowering& lowering);
std::vector<solver::VertexId> lower_build(const OpLowering& lowering);
std::vector<solver::VertexId> lower_passthrough(const OpLowering& lowering);

/// A result with its config and history.
frontend::LoweredTarget finish_result(const Lowering& build, const LlbResult& result, solver::VertexId vertex);

/// Adds to `into` what `id` of `from` needs, and gives its place there.
solver::VertexId import_vertex(solver::Graph& into, const solver::Graph& from, solver::VertexId id);

}  // namespace cbuild::api
