// SPDX-License-Identifier: Apache-2.0
// Hands the graph to the scheduler, with an executor and a result store on this machine, and has the layers of images
// packed in the background: a layer starts to be tarred and compressed when its step is done. A copy that only an image
// wants is packed from where its files lie, and its tree is never made.
#include "engine/solve_build.h"

#include <optional>
#include <unordered_set>
#include <variant>

#include "cache/remote/remote_cache.h"
#include "engine/export_build.h"
#include "engine/prefetch.h"
#include "engine/secrets.h"
#include "engine/step_events.h"
#include "solver/ops/executor.h"
#include "solver/ops/local_exec.h"

namespace cbuild::engine {
namespace {

using Vertices = std::unordered_set<solver::VertexId>;

Vertices layers_to_pack(const BuildRequest& request, const LoweredBuild& lowered) {
  Vertices layers;
  for (std::size_t i = 0; i < lowered.targets.targets.size(); ++i) {
    const std::vector<solver::VertexId>& own = lowered.targets.targets[i].layer_vertices;
    if (wants_image(request, request.inputs.targets[i])) layers.insert(own.begin(), own.end());
  }
  return layers;
}

/// Of the layers to pack, those that nothing else wants: neither another step nor an output that writes files.
Vertices only_packed(const BuildRequest& request, const LoweredBuild& lowered, Vertices layers) {
  const solver::Graph& graph = lowered.graph();
  for (const solver::VertexId id : graph.reachable(lowered.results()))
    for (const solver::VertexId input : graph[id].inputs) layers.erase(input);
  for (std::size_t i = 0; i < lowered.targets.targets.size(); ++i)
    if (wants_files(request, request.inputs.targets[i])) layers.erase(lowered.targets.targets[i].result);
  return layers;
}

solver::ops::LocalExecSettings exec_settings(const Services& services, const SolveParts& parts) {
  const StepSettings& steps = services.request.steps;
  solver::ops::LocalExecSettings out{[&runner = parts.runner]() -> sandbox::Runner& { return runner.get(); }};
  out.secrets = make_secrets(steps.secrets);
  for (const SshSource& ssh : services.ssh) out.ssh_agents.push_back({ssh.id, ssh.socket});
  if (cache::RemoteCache* remote = parts.caches.importer())
    out.mount_content = [remote](const std::string& key) { return remote->mount(key); };
  out.dns = steps.dns;
  out.allow = steps.allow;
  out.cdi_directories = steps.cdi_directories;
  out.resources = steps.resources;
  return out;
}

solver::ops::BuildServices for_steps(Services& services, const SolveParts& parts, const Vertices& layers) {
  solver::ops::BuildServices out = services.for_sources();
  out.commands.emplace(solver::ops::local_exec(exec_settings(services, parts)), parts.logs,
                       services.request.steps.log_limits);
  out.packed.emplace(parts.packer, only_packed(services.request, parts.lowered, layers));
  if (cache::RemoteCache* remote = parts.caches.importer())
    out.remote_table = [remote](const cache::Layer& layer) { return remote->table(layer); };
  for (const std::string& target : services.request.inputs.targets)
    out.files_wanted |= wants_files(services.request, target);
  return out;
}

}  // namespace

SolvedBuild solve_build(Services& services, const SolveParts& parts) {
  SolvedBuild out;
  const BuildRequest& request = services.request;
  const solver::Graph& graph = parts.lowered.graph();
  const std::vector<solver::VertexId> results = parts.lowered.results();
  if (results.empty()) return out;
  const Vertices layers = layers_to_pack(request, parts.lowered);
  solver::ops::StoreExecutor executor(graph, for_steps(services, parts, layers));
  solver::ops::CacheResultStore records(services.store, parts.lowered.project(), parts.caches.importer());
  solver::SolveOptions options;
  if (request.caches.none) options.told = solver::Reason::Kind::no_cache;
  options.max_running_steps = request.steps.jobs;
  options.cancel = &services.cancel;
  StepEvents events(services.progress, graph, parts.repeated);
  options.progress = &events;
  const bool all_layers = parts.caches.wants_all_steps();
  std::optional<BasePrefetch> prefetch;  // what a remote cache has may make any step a cached one
  if (parts.caches.importer() == nullptr) prefetch.emplace(services.store, services.remote.fetcher(), graph, results);
  options.on_result = [&](solver::VertexId id, const solver::Result& result, bool cached) {
    if (prefetch && !cached && std::holds_alternative<solver::ImageSource>(graph[id].op))
      prefetch->on_image(id, result.id);
    const bool exported = layers.contains(id) || (all_layers && !solver::is_source(graph[id].op));
    if (cached || !exported || result.id.empty()) return;
    parts.early.on_result(id, result.id);
    parts.packer.start(result.id);
  };
  out.report = solver::solve(graph, results, executor, records, options);
  if (!request.caches.to.empty() && !out.report.failure && !out.report.cancelled)
    out.keys = solver::definition_keys(graph, results, executor);
  executor.save_scans();
  return out;
}

void count_steps(const LoweredBuild& lowered, const SolvedBuild& solved, BuildResult& result) {
  result.steps_total = result.steps_cached = 0;
  for (const solver::VertexId id : lowered.graph().reachable(lowered.results())) {
    if (std::holds_alternative<solver::LocalSource>(lowered.graph()[id].op)) continue;
    ++result.steps_total;
    result.steps_cached += solved.report.vertices[id].state == solver::VertexState::cached;
  }
}

std::optional<Failure> failure_of(const solver::SolveReport& report, const LoweredBuild& lowered, bool cancelled) {
  if (!report.failure && !report.cancelled) return std::nullopt;
  if (!report.failure || cancelled) return Cancelled{};
  const solver::Vertex& vertex = lowered.graph()[report.failure->vertex];
  return StepFailed{vertex.name, vertex.spans, report.failure->failure};
}

}  // namespace cbuild::engine
