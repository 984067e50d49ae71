// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/graph.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace cbuild::solver {

namespace {

/// `ignore_cache` is part of it, so that readers of a vertex that must run again are not taken for readers of
/// a cached one.
Digest vertex_digest(const Graph& graph, const Vertex& vertex) {
  CanonicalWriter writer;
  writer.text("cbuild.vertex").text(canonical(vertex.op)).tag(vertex.ignore_cache).number(vertex.inputs.size());
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i) {
    const VertexId input = vertex.inputs[i];
    writer.tag(input != kNoInput);
    if (input != kNoInput) writer.text(canonical(selector(vertex.op, i))).digest(graph[input].digest);
  }
  return writer.hash();
}

void relax_ulimits(std::vector<Ulimit>& kept, const std::vector<Ulimit>& others) {
  for (const Ulimit& other : others) {
    const auto same = std::find_if(kept.begin(), kept.end(), [&](const Ulimit& u) { return u.name == other.name; });
    if (same == kept.end()) {
      kept.push_back(other);
      continue;
    }
    same->soft = std::max(same->soft, other.soft);
    same->hard = std::max(same->hard, other.hard);
  }
}

/// Settings are not part of the digest, so equal vertices may differ in them.
void relax_limits(ExecSettings& kept, const ExecSettings& other) {
  relax_ulimits(kept.ulimits, other.ulimits);
  kept.shm_size = std::max(kept.shm_size, other.shm_size);
  kept.resources = looser(kept.resources, other.resources);
  kept.retries = std::max(kept.retries, other.retries);
  const bool unlimited = kept.timeout_ns == 0 || other.timeout_ns == 0;
  kept.timeout_ns = unlimited ? 0 : std::max(kept.timeout_ns, other.timeout_ns);
}

void merge_into(Vertex& kept, const Vertex& other) {
  for (const Span& span : other.spans) {
    if (std::find(kept.spans.begin(), kept.spans.end(), span) == kept.spans.end()) kept.spans.push_back(span);
  }
  relax_limits(kept.settings, other.settings);
}

}  // namespace

VertexId Graph::add(Vertex vertex) {
  for (const VertexId input : vertex.inputs) CBUILD_CHECK(input == kNoInput || input < vertices_.size());
  CBUILD_CHECK(vertices_.size() < kNoInput);
  vertex.digest = vertex_digest(*this, vertex);
  const auto id = static_cast<VertexId>(vertices_.size());
  const auto [found, is_new] = by_digest_.emplace(vertex.digest, id);
  if (is_new) {
    vertices_.push_back(std::move(vertex));
  } else {
    merge_into(vertices_[found->second], vertex);
  }
  return found->second;
}

std::vector<VertexId> Graph::reachable(const std::vector<VertexId>& targets) const {
  std::vector<bool> reached(vertices_.size());
  for (const VertexId target : targets) {
    if (target != kNoInput) reached.at(target) = true;
  }
  std::vector<VertexId> ids;
  for (std::size_t id = vertices_.size(); id-- > 0;) {
    if (!reached[id]) continue;
    ids.push_back(static_cast<VertexId>(id));
    for (const VertexId input : vertices_[id].inputs) {
      if (input != kNoInput) reached[input] = true;
    }
  }
  std::reverse(ids.begin(), ids.end());
  return ids;
}

std::vector<std::vector<VertexId>> Graph::dependents() const {
  std::vector<std::vector<VertexId>> readers(vertices_.size());
  for (std::size_t id = 0; id < vertices_.size(); ++id) {
    for (const VertexId input : vertices_[id].inputs) {
      if (input == kNoInput) continue;
      std::vector<VertexId>& list = readers[input];
      if (list.empty() || list.back() != id) list.push_back(static_cast<VertexId>(id));
    }
  }
  return readers;
}

std::vector<VertexId> Graph::critical_path(VertexId target, const std::vector<double>& weights) const {
  if (target == kNoInput) return {};
  CBUILD_CHECK(target < vertices_.size() && weights.size() >= vertices_.size());
  std::vector<double> length(vertices_.size());
  std::vector<VertexId> before(vertices_.size(), kNoInput);
  for (const VertexId id : reachable({target})) {
    std::vector<VertexId> inputs = vertices_[id].inputs;
    std::sort(inputs.begin(), inputs.end());
    for (const VertexId input : inputs) {
      if (input == kNoInput) continue;
      if (before[id] == kNoInput || length[input] > length[before[id]]) before[id] = input;
    }
    length[id] = weights[id] + (before[id] == kNoInput ? 0.0 : length[before[id]]);
  }
  std::vector<VertexId> path;
  for (VertexId id = target; id != kNoInput; id = before[id]) path.push_back(id);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace cbuild::solver
