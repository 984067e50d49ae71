// SPDX-License-Identifier: Apache-2.0
#include "solver/scheduler.h"

#include <utility>

#include "solver/dispatcher.h"
#include "solver/keys.h"
#include "solver/plan.h"
#include "solver/step_work.h"

namespace cbuild::solver {

namespace {

void announce_all(const Graph& graph, const std::vector<VertexId>& reached, ProgressSink& progress) {
  for (const VertexId id : reached) {
    const Vertex& vertex = graph[id];
    TaskAdded added{id, vertex.name, vertex.spans.empty() ? Span{} : vertex.spans.front(), vertex.digest};
    for (const VertexId input : vertex.inputs)
      if (input != kNoInput) added.inputs.push_back(graph[input].digest);
    progress.on_event(added);
  }
}

std::optional<SolveFailure> first_refused(const Plan& plan, const SolveOptions& options) {
  for (const VertexId id : plan.reached) {
    if (plan.needs[id] != Need::work) continue;
    if (auto error = options.refuse(id)) return SolveFailure{id, {std::move(*error), 0, {}}};
  }
  return std::nullopt;
}

/// The first pass ended early: nothing has begun.
void report_early_end(const Plan& plan, StepWork& work, SolveReport& report) {
  for (const VertexId id : plan.reached) {
    if (plan.failure && plan.failure->vertex == id) {
      work.report_failure(id, plan.failure->failure);
    } else {
      work.abandon(id);
    }
  }
  report.failure = plan.failure;
  report.cancelled = plan.cancelled;
}

}  // namespace

SolveReport solve(const Graph& graph, const std::vector<VertexId>& targets, Executor& executor, ResultStore& store,
                  const SolveOptions& options) {
  NullProgress no_progress;
  ProgressSink& progress = options.progress ? *options.progress : no_progress;
  SolveReport report;
  report.vertices.resize(graph.size());

  std::vector<VertexId> reached = graph.reachable(targets);
  announce_all(graph, reached, progress);
  LocalSelections locals(graph, executor);
  Plan plan = make_plan(graph, std::move(reached), targets, store, locals, options.cancel);
  if (options.refuse && !plan.failure) plan.failure = first_refused(plan, options);
  const StepWork::Services services{graph, plan, locals, executor, store, options, progress};
  if (plan.failure || plan.cancelled) {
    const std::atomic<bool> stopping{true};
    StepWork work(services, report.vertices, stopping, nullptr);
    report_early_end(plan, work, report);
    return report;
  }
  Dispatcher dispatcher(services, report.vertices);
  dispatcher.run();
  report.failure = dispatcher.failure();
  report.cancelled = dispatcher.cancelled();
  return report;
}

std::vector<Digest> definition_keys(const Graph& graph, const std::vector<VertexId>& targets, Executor& executor) {
  LocalSelections locals(graph, executor);
  std::vector<Digest> keys(graph.size());
  for (const VertexId id : graph.reachable(targets)) keys[id] = definition_key(graph, id, keys, locals);
  return keys;
}

}  // namespace cbuild::solver
