// SPDX-License-Identifier: Apache-2.0
// Hands the graph to the scheduler, with an executor and a result store on this machine, and has the layers of images
// packed in the background: a layer starts to be tarred and compressed when its step is done. A copy that only an image
// wants is packed from where its files lie, and its tree is never made.
#include "engine/solve_build.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <variant>

#include "base/text.h"
#include "cache/remote/remote_cache.h"
#include "engine/export_build.h"
#include "engine/foreign_steps.h"
#include "engine/prefetch.h"
#include "engine/request/secrets.h"
#include "engine/step_events.h"
#include "oci/blob_store.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "sandbox/binfmt.h"
#include "solver/ops/executor.h"
#include "solver/ops/local_exec.h"

namespace cbuild::engine {
namespace {

using Vertices = std::unordered_set<solver::VertexId>;

Vertices layers_to_pack(const BuildRequest& request, const LoweredBuild& lowered) {
  Vertices layers;
  for (const frontend::LoweredTarget& target : lowered.targets.targets) {
    const std::vector<solver::VertexId>& own = target.layer_vertices;
    if (wants_image(request, target.target)) layers.insert(own.begin(), own.end());
  }
  return layers;
}

/// Of the layers to pack, those that nothing else wants: neither another step nor an output that writes files. Their
/// blob stands for them in every later build, so it is never of another level or form (estargz has a diff id of its
/// own) than a build has that asks for none.
Vertices only_packed(const BuildRequest& request, const LoweredBuild& lowered, Vertices layers,
                     const CancelSource& cancel) {
  const oci::layer::PackOptions pack = pack_options(request, cancel);
  if (pack.compression == oci::layer::Compression::estargz || pack.level != 0) return {};
  const solver::Graph& graph = lowered.graph();
  for (const solver::VertexId id : graph.reachable(lowered.results()))
    for (const solver::VertexId input : graph[id].inputs) layers.erase(input);
  for (const frontend::LoweredTarget& target : lowered.targets.targets)
    if (wants_files(request, target.target)) layers.erase(target.result);
  return layers;
}

bool has_own_networks(const LoweredBuild& lowered) {
  const std::vector<solver::VertexId> vertices = lowered.graph().reachable(lowered.results());
  return std::any_of(vertices.begin(), vertices.end(),
                     [&](solver::VertexId id) { return lowered.graph()[id].settings.own_network; });
}

/// Whether they work is found out before anything runs.
void add_networks(const Services& services, const SolveParts& parts, solver::ops::LocalExecSettings& settings) {
  if (!has_own_networks(parts.lowered)) return;
  const StepSettings& steps = services.request.steps;
  sandbox::network::Options& options = settings.networks.emplace();
  options.name = steps.network;
  options.dns = steps.dns;
  options.allowed = steps.allowed_hosts;
  options.hosts = steps.extra_hosts;
  options.reach_host = std::any_of(steps.extra_hosts.begin(), steps.extra_hosts.end(),
                                   [](const std::string& host) { return host.ends_with("=host-gateway"); });
  options.ledger_directory = cat(services.store.root(), "/networks");
  const std::string way = sandbox::network::describe_networks(options);
  if (services.request.tell_isolation) services.progress.on_event(RunNote{Severity::note, cat("network: ", way)});
}

solver::ops::LocalExecSettings exec_settings(const Services& services, const SolveParts& parts,
                                             const ForeignSteps& foreign) {
  const StepSettings& steps = services.request.steps;
  solver::ops::LocalExecSettings out{[&runner = parts.runner]() -> sandbox::Runner& { return runner.get(); }};
  out.secrets = make_secrets(services.secrets);
  for (const SshSource& ssh : services.ssh) out.ssh_agents.push_back({ssh.id, ssh.socket});
  out.other_secret = services.other_secret;
  out.other_agent = steps.other_agent;
  if (cache::RemoteCache* remote = parts.caches.importer())
    out.mount_content = [remote](const std::string& key) { return remote->mount(key); };
  out.dns = steps.dns;
  out.ca_certificates = steps.ca_certificates;
  out.allow = steps.allow;
  out.cdi_directories = steps.cdi_directories;
  out.resources = steps.resources;
  out.security = steps.security;
  add_networks(services, parts, out);
  out.user_xattr = services.session.user_xattr;
  out.binfmt_directory = foreign.binfmt_directory();
  return out;
}

/// Collects what commands have used, and tells the progress.
class UseTable {
 public:
  explicit UseTable(ProgressSink& progress) : progress_(progress) {}
  void add(solver::VertexId id, const ResourceUse& use) {
    {
      const std::lock_guard lock(mutex_);
      uses_[id] = use;
    }
    progress_.on_event(TaskUse{id, use});
  }
  std::map<solver::VertexId, ResourceUse> take() { return std::move(uses_); }

 private:
  ProgressSink& progress_;
  std::mutex mutex_;  // guards uses_ while steps run
  std::map<solver::VertexId, ResourceUse> uses_;
};

ForeignSettings foreign_settings(Services& services) {
  ForeignSettings out;
  out.own_namespace = services.session.unprivileged;
  if (out.own_namespace) out.emulators = sandbox::emulator_directories();
  out.architecture_of = [&blobs = services.store.blobs()](const Digest& manifest) -> std::string {
    try {
      const auto document = oci::parse_manifest(oci::read_blob(blobs, manifest));
      const auto* image = std::get_if<oci::Manifest>(&document);
      if (image == nullptr) return {};
      return oci::parse_image_config(oci::read_blob(blobs, image->config.digest)).platform.architecture;
    } catch (const Error&) {
      return {};  // gone since it was resolved: nothing is known then
    }
  };
  return out;
}

void tell_foreign(Services& services, const ForeignSteps& foreign, bool may_be_remote) {
  for (const std::string& note : foreign.notes()) services.progress.on_event(RunNote{Severity::note, note});
  for (const std::string& warning : foreign.warnings(may_be_remote))
    services.progress.on_event(RunNote{Severity::warning, warning});
}

solver::ops::BuildServices for_steps(Services& services, const SolveParts& parts, const Vertices& layers,
                                     const ForeignSteps& foreign, UseTable& uses) {
  solver::ops::BuildServices out = services.for_sources();
  out.commands.emplace(
      solver::ops::local_exec(exec_settings(services, parts, foreign)), parts.logs, services.request.steps.log_limits,
      services.request.steps.mask_secrets ? &services.secret_values : nullptr, static_cast<bool>(parts.on_solved),
      [&uses](solver::VertexId id, const ResourceUse& use) { uses.add(id, use); });
  out.packed.emplace(parts.packer, only_packed(services.request, parts.lowered, layers, services.cancel));
  if (cache::RemoteCache* remote = parts.caches.importer())
    out.remote_table = [remote](const cache::Layer& layer) { return remote->table(layer); };
  out.read_range = [&remote = services.remote](const cache::Layer& layer, std::uint64_t offset, std::uint64_t size) {
    return remote.read_range(layer, offset, size);
  };
  for (const std::string& target : services.request.inputs.targets)
    out.files_wanted |= wants_files(services.request, target);
  return out;
}

}  // namespace

SolvedBuild solve_build(Services& services, const SolveParts& parts) {
  SolvedBuild out;
  const BuildRequest& request = services.request;
  const solver::Graph& graph = parts.lowered.graph();
  const std::vector<solver::VertexId> results = parts.wanted.empty() ? parts.lowered.results() : parts.wanted;
  if (results.empty() && !parts.on_solved) return out;
  const Vertices layers = layers_to_pack(request, parts.lowered);
  UseTable uses(services.progress);
  const ForeignSteps foreign(graph, results, foreign_settings(services));
  if (!parts.repeated) tell_foreign(services, foreign, parts.caches.importer() != nullptr);
  solver::ops::StoreExecutor executor(graph, for_steps(services, parts, layers, foreign, uses));
  solver::ops::CacheResultStore records(services.store, parts.lowered.project(), parts.caches.importer());
  solver::SolveOptions options;
  if (request.caches.none) options.told = solver::Reason::Kind::no_cache;
  options.max_running_steps = request.steps.jobs;
  options.cancel = &services.cancel;
  StepEvents events(services.progress, graph, parts.repeated);
  options.progress = &events;
  // A remote cache may have results that are found by content alone.
  if (parts.caches.importer() == nullptr)
    options.refuse = [&](solver::VertexId id) {
      auto refusal = foreign.refusal(id);
      return refusal ? std::move(refusal) : parts.runner.refusal(graph[id]);
    };
  const bool all_layers = parts.caches.wants_all_steps();
  std::optional<BasePrefetch> prefetch;  // what a remote cache has may make any step a cached one
  if (parts.caches.importer() == nullptr) prefetch.emplace(services.store, services.remote.fetcher(), graph, results);
  options.on_result = [&](solver::VertexId id, const solver::Result& result, bool cached) {
    if (prefetch && std::holds_alternative<solver::ImageSource>(graph[id].op)) prefetch->on_image(id, result.id);
    const bool exported = layers.contains(id) || (all_layers && !solver::is_source(graph[id].op));
    if (cached || !exported || result.id.empty()) return;
    parts.early.on_result(id, result.id);
    parts.packer.start(result.id);
  };
  out.report = solver::solve(graph, results, executor, records, options);
  out.uses = uses.take();
  if (parts.on_solved) parts.on_solved(executor, out.report);
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
