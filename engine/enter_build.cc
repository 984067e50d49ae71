// SPDX-License-Identifier: Apache-2.0
// The ways into a step: after a build has failed in it (--on-error), and on purpose (run, debug). The latter is a build
// up to that step, which is cached as a rule. A step is entered in the middle of solve_build(): the trees, leases and
// sandboxes of the build are still held then.
#include "engine/enter_build.h"

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "engine/build_cache.h"
#include "engine/early_pushes.h"
#include "engine/failures.h"
#include "engine/finish_build.h"
#include "engine/history_record.h"
#include "engine/missing_content.h"
#include "engine/solve_build.h"
#include "engine/step_runner.h"

namespace cbuild::engine {
namespace {

using solver::VertexId;

/// The request without what a build would leave behind.
BuildRequest without_outputs(BuildRequest request) {
  request.outputs = {};
  request.caches.to.clear();
  request.in_history = false;
  return request;
}

solver::Result result_of(const solver::SolveReport& report, VertexId id) {
  return id == solver::kNoInput ? solver::Result{} : report.vertices.at(id).result;
}

std::vector<solver::Result> inputs_of(const solver::SolveReport& report, const solver::Vertex& vertex) {
  std::vector<solver::Result> inputs;
  for (const VertexId input : vertex.inputs) inputs.push_back(result_of(report, input));
  if (inputs.empty()) inputs.emplace_back();
  return inputs;
}

/// A vertex that runs commands with the settings of an image.
solver::Vertex vertex_of(const oci::ContainerConfig& config, const StepSettings& settings) {
  solver::ExecOp op;
  for (const auto* words : {&config.entrypoint, &config.cmd})
    if (*words) op.argv.insert(op.argv.end(), (*words)->begin(), (*words)->end());
  op.environment = config.env;
  op.working_dir = config.working_dir;
  op.user = config.user;
  solver::Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = {solver::kNoInput};  // what is entered is given by its result
  vertex.settings.ulimits = settings.ulimits;
  vertex.settings.shm_size = settings.shm_size;
  vertex.settings.cgroup_parent = settings.cgroup_parent;
  return vertex;
}

/// A copy or a source runs no command: one has the settings of the target that it belongs to.
solver::Vertex command_vertex(Services& services, const LoweredBuild& lowered, const solver::Vertex& vertex) {
  if (std::holds_alternative<solver::ExecOp>(vertex.op)) return vertex;
  oci::ContainerConfig config;
  config.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const frontend::LoweredTarget& target : lowered.targets.targets)
    if (target.stage_name == vertex.stage) config = target.config.config;
  config.entrypoint = config.cmd = std::nullopt;
  solver::Vertex command = vertex_of(config, services.request.steps);
  command.name = vertex.name;
  return command;
}

/// The parts of a build up to the place that is entered.
struct Way {
  Way(Services& services, const EntryPoint& to)
      : entry(to),
        caches(services.store, services.remote, services.request, services.progress, services.cancel),
        runner(services),
        logs(services.store, new_build_id(sys::now_ns())) {}

  const EntryPoint& entry;
  BuildCache caches;
  StepRunner runner;
  LoweredBuild lowered;
  cache::BuildLogs logs;
  VertexId chosen = solver::kNoInput;  ///< kNoInput: the target's result
  bool entered = false;
};

/// Steps whose results are needed to enter `chosen`; of a result of several platforms, those of the first.
std::vector<VertexId> needed_for(const Way& way) {
  if (way.chosen == solver::kNoInput) {
    const VertexId result = way.lowered.targets.targets.front().result;
    return result == solver::kNoInput ? std::vector<VertexId>{} : std::vector<VertexId>{result};
  }
  const solver::Graph& graph = way.lowered.graph();
  std::vector<VertexId> wanted;
  for (const VertexId input : graph[way.chosen].inputs)
    if (input != solver::kNoInput && !std::holds_alternative<solver::LocalSource>(graph[input].op))
      wanted.push_back(input);
  if (!way.entry.before || wanted.empty()) wanted.push_back(way.chosen);
  return wanted;
}

EnteredStep::Place target_place(Services& services, const Way& way, const solver::SolveReport& report) {
  const frontend::LoweredTarget& target = way.lowered.targets.targets.front();
  EnteredStep::Place place{vertex_of(target.config.config, services.request.steps), {result_of(report, target.result)}};
  place.vertex.name = cat("the image of ", target.stage_name);
  place.entrypoint = target.config.config.entrypoint.value_or(std::vector<std::string>{});
  return place;
}

EnteredStep::Place step_place(Services& services, const Way& way, const solver::SolveReport& report,
                              const solver::ops::FailedCommand* failed) {
  const solver::Vertex& vertex = way.lowered.graph()[way.chosen];
  EnteredStep::Place place{command_vertex(services, way.lowered, vertex), inputs_of(report, vertex), way.chosen};
  if (failed != nullptr) place.changes = &failed->changes;
  if (failed == nullptr && !way.entry.before) place.inputs[0] = result_of(report, way.chosen);
  return place;
}

using VisitFailed = std::function<void(const StepFailed&, EnteredStep&)>;

/// Only a command that ran and failed leaves a step that can be entered.
void enter_failed(Services& services, const LoweredBuild& lowered, solver::ops::StoreExecutor& executor,
                  const solver::SolveReport& report, const VisitFailed& visit) {
  if (!report.failure || report.cancelled || services.cancel.cancelled()) return;
  const VertexId id = report.failure->vertex;
  const solver::ops::FailedCommand* failed = executor.failed(id);
  if (failed == nullptr) return;
  const solver::Vertex& vertex = lowered.graph()[id];
  EnteredStep step(services, executor, {vertex, failed->request.inputs, id, &failed->changes});
  visit({vertex.name, vertex.spans, report.failure->failure}, step);
}

void enter(Services& services, Way& way, solver::ops::StoreExecutor& executor, const solver::SolveReport& report) {
  const bool is_here = report.failure && !report.cancelled && report.failure->vertex == way.chosen;
  if (report.failure && !is_here && way.entry.visit_failed)
    enter_failed(services, way.lowered, executor, report, way.entry.visit_failed);
  const solver::ops::FailedCommand* failed = is_here ? executor.failed(way.chosen) : nullptr;
  if ((report.failure && failed == nullptr) || report.cancelled || services.cancel.cancelled()) return;
  way.entered = true;
  EnteredStep step(
      services, executor,
      way.chosen == solver::kNoInput ? target_place(services, way, report) : step_place(services, way, report, failed));
  way.entry.visit(step);
}

void attempt(Services& services, Way& way, MissingContent& missing, BuildResult& result) {
  missing.begin_attempt();
  EarlyPushes early(services, way.lowered);
  cache::Packer packer(services.store, {}, early.uploads());
  SolveParts parts{way.lowered, way.caches, way.runner, way.logs, packer, early, missing.repeats()};
  parts.wanted = needed_for(way);
  parts.on_solved = [&](solver::ops::StoreExecutor& executor, const solver::SolveReport& report) {
    enter(services, way, executor, report);
  };
  const SolvedBuild solved = solve_build(services, parts);
  count_steps(way.lowered, solved, result);
  if (way.entered) return;
  if (solved.report.failure && !solved.report.cancelled && missing.take(solved.report.failure->failure.error)) return;
  result.failure = failure_of(solved.report, way.lowered, services.cancel.cancelled());
}

void choose_step(Way& way) {
  if (!way.entry.choose) return;
  solver::SolveReport nothing;
  nothing.vertices.resize(way.lowered.graph().size());
  const solver::Graph& graph = way.lowered.graph();
  way.chosen =
      way.entry.choose(step_entries(graph, way.lowered.results(), nothing, {}), graph).value_or(solver::kNoInput);
}

}  // namespace

BuildResult enter_build(const Session& session, const BuildRequest& request, const EntryPoint& entry,
                        ProgressSink& progress, const CancelSource& cancel) {
  const BuildRequest bare = without_outputs(request);
  return failures_in_result(cancel, [&](BuildResult& result) {
    Services services(bare, session, progress, cancel);
    Way way(services, entry);
    lower_build(services, way.lowered, result.findings);
    choose_step(way);
    MissingContent missing(progress, cancel);
    do {
      attempt(services, way, missing, result);
    } while (missing.found());
    finish_build(services, way.runner, result);
  });
}

void enter_failed_step(Services& services, const LoweredBuild& lowered, solver::ops::StoreExecutor& executor,
                       const solver::SolveReport& report) {
  enter_failed(services, lowered, executor, report, services.request.steps.on_failure);
}

}  // namespace cbuild::engine
