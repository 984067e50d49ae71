// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/diagnostic.h"
#include "base/digest.h"
#include "solver/graph/op.h"

namespace cbuild::solver {

using VertexId = std::uint32_t;
/// Stands for the empty root ("scratch").
inline constexpr VertexId kNoInput = std::numeric_limits<VertexId>::max();

struct Vertex {
  Op op;
  std::vector<VertexId> inputs;

  // Not part of the digest:
  std::string name;         ///< "[build 3/7] RUN make"
  std::vector<Span> spans;  ///< instructions that made it (several when equal vertices were merged)
  std::string stage;        ///< stage name for --no-cache-filter and the graph command
  bool ignore_cache = false;
  ExecSettings settings;  ///< of an ExecOp

  Digest digest;  ///< H(canonical op, ignore_cache, for each input: canonical selector, digest); set by Graph::add
};

/// A DAG of vertices that are added after their inputs, so ids are a topological order and there are no cycles. Equal
/// vertices (same digest) are one; an ignore_cache one is told apart from a normal one.
class Graph {
 public:
  /// Returns the id of an equal vertex if there is one, else adds it. Inputs must exist. The kept vertex of two equal
  /// ones keeps its name and stage, gains the other's spans, and takes the more generous of their limits.
  VertexId add(Vertex vertex);

  const Vertex& operator[](VertexId id) const { return vertices_[id]; }
  std::size_t size() const { return vertices_.size(); }
  /// Vertices that `targets` reach, ascending, so inputs come before their readers. A target may be kNoInput.
  std::vector<VertexId> reachable(const std::vector<VertexId>& targets) const;
  /// Vertices that read `id`, for every vertex.
  std::vector<std::vector<VertexId>> dependents() const;
  /// The path with the largest sum of weights that ends in `target`, sources first; `weights` by VertexId, not
  /// negative. Of equal inputs the one with the lowest id counts. Empty for kNoInput.
  std::vector<VertexId> critical_path(VertexId target, const std::vector<double>& weights) const;

 private:
  std::vector<Vertex> vertices_;
  std::unordered_map<Digest, VertexId> by_digest_;
};

enum class GraphFormat { dot, mermaid, json };
/// Text form of the part that `targets` reach, for golden files and the graph command: same graph, same bytes. Names
/// may be hostile: the result is valid UTF-8 and holds no control character but the newline.
std::string format_graph(const Graph& graph, const std::vector<VertexId>& targets, GraphFormat format);

}  // namespace cbuild::solver
