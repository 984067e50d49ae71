// SPDX-License-Identifier: Apache-2.0
#include "cli/graph_command.h"

#include <iostream>
#include <unordered_set>

#include "base/cancel.h"
#include "base/diagnostic.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/flags/options.h"
#include "cli/input_services.h"
#include "cli/report/exit_codes.h"
#include "cli/report/graph_picture.h"
#include "cli/report/history.h"
#include "engine/history_record.h"
#include "engine/inputs.h"
#include "engine/request/secrets.h"
#include "engine/session.h"
#include "engine/source_lock.h"
#include "frontend/syntax/parser.h"
#include "solver/ops/executor.h"
#include "solver/scheduler.h"

namespace cbuild::cli {
namespace {

using solver::VertexId;

PictureFormat format_of(const std::string& name) {
  if (name == "mermaid") return PictureFormat::mermaid;
  return name == "json" ? PictureFormat::json : PictureFormat::dot;
}

/// The results that a build would find now, from the targets towards the sources: nothing runs and nothing is recorded.
solver::SolveReport foresee(const solver::Graph& graph, const std::vector<VertexId>& targets, cache::Store& store,
                            std::unordered_set<VertexId>& would_run) {
  NullProgress progress;
  const CancelSource cancel;
  solver::ops::StoreExecutor executor(graph, {.store = store, .progress = progress, .cancel = cancel});
  solver::ops::CacheResultStore results(store);
  const std::vector<Digest> keys = solver::definition_keys(graph, targets, executor);
  solver::SolveReport report;
  report.vertices.resize(graph.size());
  std::unordered_set<VertexId> wanted(targets.begin(), targets.end());
  const std::vector<VertexId> reached = graph.reachable(targets);
  for (auto at = reached.rbegin(); at != reached.rend(); ++at) {
    solver::VertexReport& vertex = report.vertices[*at];
    vertex.state = solver::VertexState::cached;
    if (!wanted.contains(*at) || solver::is_source(graph[*at].op)) continue;
    const auto record = graph[*at].ignore_cache ? std::nullopt : results.find(keys[*at]);
    if (record) {
      vertex.found_by = solver::FoundBy::definition;
      vertex.created_ns = record->created_ns;
      continue;
    }
    would_run.insert(*at);
    for (const VertexId input : graph[*at].inputs)
      if (input != solver::kNoInput) wanted.insert(input);
  }
  return report;
}

std::string draw_dockerfile(const GraphLine& line) {
  const engine::BuildRequest& request = line.line.request;
  InputServices services(line.line);
  const engine::BuildInputs inputs =
      engine::read_inputs(request.inputs, request.sources.policy.get(),
                          [&]() -> engine::RemoteContexts& { return services.all().contexts; });
  frontend::Checks checks = engine::make_checks(request.inputs);
  const frontend::Dockerfile dockerfile =
      frontend::parse_dockerfile(inputs.dockerfile, engine::parse_options(inputs, checks));
  cache::Store& store = services.all().store;
  frontend::LowerOptions lower = engine::lower_options(request, inputs);
  lower.callbacks.pinner = &services.all().sources;
  const auto lock = engine::open_lock(request.inputs, inputs);
  lower.callbacks.lock = lock.get();
  lower.secret_hashes = engine::secret_hashes(request.steps.secrets, store);
  const auto lowered = frontend::lower_targets(dockerfile, lower, request.inputs.targets, services.images());
  std::vector<VertexId> targets;
  for (const frontend::LoweredTarget& target : lowered.targets)
    if (target.result != solver::kNoInput) targets.push_back(target.result);
  std::unordered_set<VertexId> would_run;
  const solver::SolveReport report = foresee(lowered.graph, targets, store, would_run);
  std::vector<engine::StepEntry> steps = engine::step_entries(lowered.graph, targets, report, {});
  for (engine::StepEntry& step : steps)
    if (would_run.contains(step.id)) step.state = "would-run";
  return draw_graph(engine::build_name(request, inputs.context_path), steps, format_of(line.format));
}

}  // namespace

int graph_command(Arguments arguments) {
  const auto line = parse_graph_line(std::move(arguments));
  if (!line) return exit_code::kSuccess;
  if (!line->of_dockerfile) {
    const engine::Session session = engine::start_session(line->line.root);
    cache::Store store(engine::store_options(session));
    const engine::BuildEntry build = find_build(store, line->build);
    std::cout << draw_graph(headline(build), build.steps, format_of(line->format));
    return exit_code::kSuccess;
  }
  try {
    std::cout << draw_dockerfile(*line);
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) std::cerr << render(diagnostic);
    return exit_code::kBuildFailed;
  }
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
