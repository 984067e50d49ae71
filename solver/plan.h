// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/digest.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"
#include "solver/keys.h"
#include "solver/scheduler.h"

namespace cbuild::solver {

/// The decision of the first pass about a vertex.
enum class Need : std::uint8_t {
  unreached,  ///< no target reads it
  unread,     ///< only read by vertices that hit
  in_place,   ///< a LocalSource: readers read the directory itself
  hit,        ///< found by its definition key
  work,       ///< has to be built
};

/// Result of the pass over definition keys. Nothing has run and no thread was started.
struct Plan {
  std::vector<VertexId> reached;        ///< ascending
  std::vector<Need> needs;              ///< by VertexId
  std::vector<Digest> definition_keys;  ///< by VertexId; empty for a LocalSource and vertices that are not reached
  std::unordered_map<VertexId, CachedResult> hits;
  std::optional<SolveFailure> failure;  ///< the pass ended early
  bool cancelled = false;               ///< the pass ended early
};

/// Computes the definition keys of `reached` from the sources up, then looks them up from the targets down: below a hit
/// nothing is looked up. A vertex that reaches an ignore_cache one is not looked up either, because its definition does
/// not tell that one's result this time. Fills `locals`.
Plan make_plan(const Graph& graph, std::vector<VertexId> reached, const std::vector<VertexId>& targets,
               ResultStore& store, LocalSelections& locals, const CancelSource* cancel);

/// The exception being handled, as the failure of a step. Call inside a catch block only.
StepFailure current_failure();

}  // namespace cbuild::solver
