// SPDX-License-Identifier: Apache-2.0
#include "engine/lower_build.h"

#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "engine/inputs.h"
#include "engine/request/secrets.h"
#include "engine/scan_steps.h"
#include "engine/source_lock.h"
#include "frontend/syntax/parser.h"

namespace cbuild::engine {
namespace {

/// Views show a finding on one line with its number in the Dockerfile; in an included file it is a warning like any
/// other.
Diagnostic for_progress(Diagnostic finding, const BuildInputs& inputs) {
  if (finding.span.source == inputs.dockerfile) return finding;
  finding.message = cat(std::exchange(finding.rule, {}), ": ", finding.message);
  return finding;
}

/// Has the directories filled that the results read.
void fill_directories(const BuildRequest& request, const LoweredBuild& lowered) {
  if (!request.inputs.fill_directory) return;
  const solver::Graph& graph = lowered.graph();
  std::map<solver::VertexId, std::vector<solver::Selector>> parts;
  for (const solver::VertexId id : graph.reachable(lowered.results())) {
    const solver::Vertex& vertex = graph[id];
    for (std::size_t i = 0; i < vertex.inputs.size(); ++i)
      if (vertex.inputs[i] != solver::kNoInput &&
          std::holds_alternative<solver::LocalSource>(graph[vertex.inputs[i]].op))
        parts[vertex.inputs[i]].push_back(solver::local_selector(vertex.op, i));
  }
  for (auto& [id, read] : parts)
    request.inputs.fill_directory({std::get<solver::LocalSource>(graph[id].op), std::move(read)});
}

}  // namespace

std::vector<solver::VertexId> LoweredBuild::results() const {
  std::vector<solver::VertexId> ids;
  for (const frontend::LoweredTarget& target : targets.targets)
    if (target.result != solver::kNoInput) ids.push_back(target.result);
  for (const frontend::LoweredTarget& target : targets.targets)
    for (const frontend::ScanExtra& extra : target.scan_extras) ids.push_back(extra.root);
  for (const solver::VertexId scan : scans)
    if (scan != solver::kNoInput) ids.push_back(scan);
  return ids;
}

std::string LoweredBuild::project() const { return sha256(cat(context_path, "\n", dockerfile_name)).str(); }

void lower_build(Services& services, LoweredBuild& out, std::vector<Diagnostic>& findings) {
  const BuildRequest& request = services.request;
  if (request.inputs.graph) {
    out.targets = request.inputs.graph({services.images, services.sources});
    add_scan_steps(services, out);
    return fill_directories(request, out);
  }
  ProgressSink& progress = services.progress;
  const BuildInputs inputs =
      read_inputs(request.inputs, request.sources.policy.get(), [&]() -> RemoteContexts& { return services.contexts; });
  for (const std::string& note : inputs.notes) progress.on_event(RunNote{Severity::note, note});
  out.dockerfile_name = inputs.dockerfile->name();
  out.context_path = inputs.context_path;
  out.dockerfile = inputs.dockerfile;
  out.context_source = inputs.context_source;
  frontend::Checks checks = make_checks(request.inputs);
  const ScopeExit show_findings([&] {
    for (const Diagnostic& finding : checks.findings()) progress.on_event(RunDiagnostic{for_progress(finding, inputs)});
  });
  const frontend::Dockerfile dockerfile = frontend::parse_dockerfile(inputs.dockerfile, parse_options(inputs, checks));
  for (const Diagnostic& warning : dockerfile.warnings) progress.on_event(RunDiagnostic{warning});
  frontend::LowerOptions options = lower_options(request, inputs);
  options.callbacks.pinner = &services.sources;
  const std::unique_ptr<LockedSources> lock = open_lock(request.inputs, inputs);
  options.callbacks.lock = lock.get();
  options.secret_hashes = secret_hashes(services.secrets, services.store);
  options.reports.checks = &checks;
  out.targets = frontend::lower_targets(dockerfile, options, request.inputs.targets, services.images);
  if (lock)
    for (const Diagnostic& warning : lock->moved(services))
      progress.on_event(RunDiagnostic{for_progress(warning, inputs)});
  add_scan_steps(services, out);
  fill_directories(request, out);
  findings = checks.findings();
  for (const std::string& note : out.targets.notes) progress.on_event(RunNote{Severity::note, note});
}

void note_all_steps(Services& services) {
  if (services.request.caches.none) services.progress.on_event(RunNote{Severity::note, "every step runs: --no-cache"});
}

}  // namespace cbuild::engine
