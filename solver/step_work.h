// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"
#include "solver/keys.h"
#include "solver/plan.h"
#include "solver/scheduler.h"
#include "solver/step_reports.h"

namespace cbuild::solver {

/// The state of a vertex after one stretch of work on it.
enum class Next {
  done,         ///< it has its result
  failed,       ///< by itself
  cancelled,    ///< stopped because the build stops
  await_claim,  ///< another process does it now
  await_slot,   ///< it has its claim and has to run
  executing,    ///< the executor has it; `completed` will be called or was
};

/// The work on single vertices: keys, look-ups, claims, execution, publication, their events and reports. One
/// vertex is worked on by one thread at a time, which its caller sees to; different ones by any threads.
/// Nothing here waits.
class StepWork {
 public:
  struct Services {
    const Graph& graph;
    const Plan& plan;
    const LocalSelections& locals;
    Executor& executor;
    ResultStore& store;
    const SolveOptions& options;
    ProgressSink& progress;
  };
  /// May be called before execute() has returned; at most once for each vertex.
  using Completed = std::function<void(VertexId, Outcome)>;

  /// `stopping`: nothing shall begin any more. `reports` by VertexId.
  StepWork(const Services& services, std::vector<VertexReport>& reports, const std::atomic<bool>& stopping,
           Completed completed);

  /// Goes on with a vertex as far as it gets without waiting. Never throws.
  Next advance(VertexId id);
  /// The claim or outcome that the vertex waited for, before advance() is called again.
  void give_claim(VertexId id, std::unique_ptr<Claim> claim);
  void give_outcome(VertexId id, Outcome outcome);

  /// True if advance() would only bring home work that is already done.
  bool is_finishing(VertexId id) const { return steps_[id].phase == Phase::finish; }
  const Digest& content_key(VertexId id) const { return steps_[id].key.key; }
  const std::optional<StepFailure>& failure(VertexId id) const { return steps_[id].failure; }
  /// Reports a vertex that will not be worked on any more.
  void abandon(VertexId id);
  /// Reports a failure that came before any work.
  void report_failure(VertexId id, const StepFailure& failure);

 private:
  enum class Phase { begin, have_claim, run, finish };
  struct Step {
    Phase phase = Phase::begin;
    std::int64_t run_began_ns = 0;
    ContentKey key;
    std::vector<Result> inputs;
    std::unique_ptr<Claim> claim;
    std::optional<Outcome> outcome;
    std::optional<StepFailure> failure;
  };

  Next proceed(VertexId id);
  Next begin(VertexId id);
  Next have_claim(VertexId id);
  Next run(VertexId id);
  void execute(VertexId id);
  Next finish(VertexId id);
  Next settle(VertexId id, const CachedResult& found, bool cached);
  Next settle_hit(VertexId id, const CachedResult& found);
  Next fail(VertexId id, StepFailure failure);
  /// The last word of a vertex: the key for its report, and what only a vertex under way needs is let go.
  Digest close(VertexId id);

  const Services services_;
  StepReports reports_;
  const std::atomic<bool>& stopping_;
  const Completed completed_;
  std::vector<Step> steps_;
};

}  // namespace cbuild::solver
