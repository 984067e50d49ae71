// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"

namespace cbuild::solver {

struct SolveOptions {
  unsigned max_running_steps = 0;  ///< steps that execute at once; 0 = 4 per core, at least 16
  const CancelSource* cancel = nullptr;
  ProgressSink* progress = nullptr;  ///< TaskId = VertexId
  /// A reason that holds for every step and that the caller has told: the events of steps do not repeat it, reports do.
  Reason::Kind told = Reason::Kind::none;
  /// Asked, before anything runs, for each vertex that no record was found for: an error is that vertex's failure, and
  /// nothing runs. May be null.
  std::function<std::optional<Error>(VertexId)> refuse;
  /// Called once for each vertex that has a result, from any thread, before its dependents start; lets layers be packed
  /// while later steps run.
  std::function<void(VertexId, const Result&, bool cached)> on_result;
};

enum class VertexState { not_needed, cached, ran, failed, cancelled };

/// How a cached vertex was found.
enum class FoundBy : std::uint8_t {
  nothing,     ///< it was not, or nothing had to be found: a base image, an input of cached steps only
  definition,  ///< the same instructions on the same sources
  content,     ///< its inputs came out the same
};

struct VertexReport {
  VertexState state = VertexState::not_needed;
  Result result;
  std::int64_t started_ns = 0, finished_ns = 0;  ///< monotonic
  std::int64_t created_ns = 0;                   ///< wall clock of the first making, from the record
  Reason reason;                                 ///< why it was not cached
  FoundBy found_by = FoundBy::nothing;
  Digest key;  ///< under which a record was found or made; empty if none was needed
};

struct SolveFailure {
  VertexId vertex = 0;
  StepFailure failure;
};

struct SolveReport {
  std::vector<VertexReport> vertices;   ///< by VertexId
  std::optional<SolveFailure> failure;  ///< the first one in graph order among those that failed by themselves
  bool cancelled = false;
};

/// Builds `targets`, doing each vertex at most once. For a vertex: looked up by definition key from the target towards
/// the sources (a hit needs nothing below it, though its sources are still shown as cached); else its inputs are built,
/// it is looked up by content key; else it runs under a claim. The first failure cancels steps that have not begun and
/// ends running ones. Returns after everything has ended. dispatcher.h says how waiting steps hold no thread.
SolveReport solve(const Graph& graph, const std::vector<VertexId>& targets, Executor& executor, ResultStore& store,
                  const SolveOptions& options);

/// The definition keys of all vertices that `targets` reach, by VertexId; empty where there is none (not reached).
/// H(op bytes, for each input: its definition key, or for a LocalSource the digest of the selection).
std::vector<Digest> definition_keys(const Graph& graph, const std::vector<VertexId>& targets, Executor& executor);

}  // namespace cbuild::solver
