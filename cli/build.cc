// SPDX-License-Identifier: Apache-2.0
#include "cli/build.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/lost.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/gc/gc.h"
#include "cache/packer.h"
#include "cli/build_outputs.h"
#include "cli/error_text.h"
#include "cli/exit_codes.h"
#include "cli/failure_text.h"
#include "engine/build_cache.h"
#include "engine/foreign_steps.h"
#include "engine/history_record.h"
#include "engine/inputs.h"
#include "engine/key_agents.h"
#include "engine/network_sources.h"
#include "engine/remote.h"
#include "engine/remote_contexts.h"
#include "engine/secrets.h"
#include "engine/step_events.h"
#include "frontend/syntax/parser.h"
#include "solver/ops/executor.h"
#include "solver/scheduler.h"

namespace cbuild::cli {
namespace {

using namespace engine;

/// "ok", "failed", "cancelled", "export-failed".
std::string status_name(int exit_code, bool cancelled) {
  if (cancelled || exit_code == exit_code::kInterrupted) return "cancelled";
  if (exit_code == exit_code::kSuccess) return "ok";
  return exit_code == 3 ? "export-failed" : "failed";
}

double seconds_since(std::int64_t start_ns) { return static_cast<double>(sys::monotonic_ns() - start_ns) / 1e9; }

/// One build; the passes of run() in order.
class Build {
 public:
  Build(const BuildLine& options, Session& session, ProgressSink& progress, CancelSource& cancel)
      : options_(options),
        session_(session),
        progress_(progress),
        cancel_(cancel),
        store_({.root = session.root, .user_xattr = session.user_xattr}),
        remote_(store_, options.request.sources, progress, cancel),
        ssh_(key_agents_.serve(options.request.steps.ssh, options.request.steps.agent_environment)),
        sources_(store_, options.request.steps.secrets, ssh_, options.request.sources, progress, cancel),
        remote_cache_(store_, remote_, options.request, progress, cancel) {}

  /// What goes wrong before there are steps is thrown, after it has been written into the history.
  BuildOutcome run() {
    began_ns_ = sys::monotonic_ns();
    try {
      carry_out();
    } catch (const std::exception& error) {
      outcome_.exit_code = exit_code::kBuildFailed;  // of the entry in the history
      record(error.what());
      throw;
    }
    record({});
    return outcome_;
  }

 private:
  enum class Attempt { over, lost_something };

  void carry_out();
  void lower_dockerfile();
  void tell_about_all_steps();
  Attempt attempt();
  bool is_worth_another_attempt(const Error& error);
  bool solve();
  void count_steps();
  void sweep_once();
  sandbox::Runner& runner();
  solver::ops::BuildServices services();
  void report_failure();
  std::vector<solver::VertexId> results() const;
  std::unordered_set<solver::VertexId> layers_to_pack() const;
  std::unordered_set<solver::VertexId> only_packed(std::unordered_set<solver::VertexId> layers) const;
  exporter::ImageResult image_result(const frontend::LoweredTarget& target) const;
  exporter::CacheContent cache_content(const std::vector<TargetResult>& targets);
  void export_outputs();
  void finish();
  void collect_garbage();
  void record(const std::string& error) noexcept;

  const BuildLine& options_;
  Session& session_;
  ProgressSink& progress_;
  CancelSource& cancel_;
  cache::Store store_;
  Remote remote_;
  KeyAgents key_agents_;
  std::vector<SshSource> ssh_;  ///< each with a socket
  NetworkSources sources_;
  BuildCache remote_cache_;
  std::optional<cache::Packer> packer_;  ///< of this attempt
  std::mutex runner_mutex_;
  std::unique_ptr<sandbox::Runner> runner_;
  frontend::LoweredTargets lowered_;
  std::vector<Diagnostic> findings_;  ///< of the checks
  std::string dockerfile_name_, context_;
  const std::int64_t started_ns_ = sys::now_ns();
  const std::string id_ = new_build_id(started_ns_);  ///< in the history
  cache::BuildLogs logs_{store_, id_};
  std::string project_;  ///< tells this Dockerfile from others of the same look, for explanations
  solver::SolveReport report_;
  std::vector<Digest> keys_;  ///< definition keys, when the steps are to be exported
  BuildOutcome outcome_;
  bool swept_ = false;
  std::int64_t began_ns_ = 0;
  std::vector<std::string> losses_;  ///< what was found lost, a line for each attempt it ended
  bool lost_something_ = false;      ///< in this attempt
};

/// Solves and exports. What was found in the store or in a remote cache may turn out to be gone only when it is needed:
/// it is forgotten then, and the next attempt makes it again from what is left, which is all that was done in this one.
Build::Attempt Build::attempt() {
  lost_something_ = false;
  packer_.emplace(store_, pack_options(options_, cancel_));
  outcome_.steps_total = outcome_.steps_cached = 0;
  const std::int64_t solving = sys::monotonic_ns();
  const bool solved = solve();
  outcome_.solve_s += seconds_since(solving);
  if (solved) {
    const std::int64_t exporting = sys::monotonic_ns();
    export_outputs();
    outcome_.export_s += seconds_since(exporting);
  }
  return lost_something_ ? Attempt::lost_something : Attempt::over;
}

/// An attempt forgets what it found lost, so the same loss again says that nothing can make it anew.
bool Build::is_worth_another_attempt(const Error& error) {
  constexpr std::size_t kMaxAttempts = 100;
  constexpr std::ptrdiff_t kMaxSame = 3;
  if (!is_lost(error) || cancel_.cancelled() || losses_.size() >= kMaxAttempts) return false;
  if (std::count(losses_.begin(), losses_.end(), error.message()) >= kMaxSame) return false;
  losses_.push_back(error.message());
  progress_.on_event(RunNote{Severity::warning, cat(error.message(), "; the steps that made it are run")});
  lost_something_ = true;
  return true;
}

void Build::carry_out() {
  for (const std::string& note : options_.notes) progress_.on_event(RunNote{Severity::note, note});
  for (const std::string& note : store_.notes()) progress_.on_event(RunNote{Severity::warning, note});
  const std::int64_t begin = sys::monotonic_ns();
  lower_dockerfile();
  outcome_.lower_s = seconds_since(begin);
  tell_about_all_steps();
  while (attempt() == Attempt::lost_something) continue;
  finish();
}

/// Views show a finding on one line with its number in the Dockerfile; in an included file it is a warning like any
/// other.
Diagnostic for_progress(Diagnostic finding, const BuildInputs& inputs) {
  if (finding.span.source == inputs.dockerfile) return finding;
  finding.message = cat(std::exchange(finding.rule, {}), ": ", finding.message);
  return finding;
}

void Build::lower_dockerfile() {
  RemoteContexts contexts(store_, sources_,
                          [this](const solver::Op& source) { return bring_source(services(), source); });
  const BuildInputs inputs = read_inputs(options_.request.inputs, options_.request.sources.policy.get(),
                                         [&]() -> RemoteContexts& { return contexts; });
  for (const std::string& note : inputs.notes) progress_.on_event(RunNote{Severity::note, note});
  dockerfile_name_ = inputs.dockerfile->name();
  context_ = inputs.context_path;
  project_ = sha256(cat(context_, "\n", dockerfile_name_)).str();
  frontend::Checks checks = make_checks(options_.request.inputs);
  const ScopeExit show_findings([&] {
    for (const Diagnostic& finding : checks.findings())
      progress_.on_event(RunDiagnostic{for_progress(finding, inputs)});
  });
  const frontend::Dockerfile dockerfile = frontend::parse_dockerfile(inputs.dockerfile, parse_options(inputs, checks));
  for (const Diagnostic& warning : dockerfile.warnings) progress_.on_event(RunDiagnostic{warning});
  StoreImageResolver images(store_, remote_, options_.request.sources.pull);
  frontend::LowerOptions lower = lower_options(options_.request, inputs);
  lower.pinner = &sources_;
  lower.secret_hashes = secret_hashes(options_.request.steps.secrets, store_);
  lower.checks = &checks;
  lowered_ = frontend::lower_targets(dockerfile, lower, options_.request.inputs.targets, images);
  findings_ = checks.findings();
  for (const std::string& note : lowered_.notes) progress_.on_event(RunNote{Severity::note, note});
}

/// What would otherwise stand under each of them, or be found only when one of them fails.
void Build::tell_about_all_steps() {
  if (options_.request.caches.none) progress_.on_event(RunNote{Severity::note, "every step runs: --no-cache"});
  for (const std::string& note : foreign_step_notes(lowered_.graph, results()))
    progress_.on_event(RunNote{Severity::warning, note});
}

/// What killed builds left, before the space is needed or at the end of a build that ran something.
void Build::sweep_once() {
  if (!std::exchange(swept_, true)) cache::sweep_leftovers(store_);
}

sandbox::Runner& Build::runner() {
  const std::lock_guard lock(runner_mutex_);
  if (!runner_) {
    if (session_.unprivileged) progress_.on_event(RunNote{Severity::note, session_.user_namespace});
    runner_ = sandbox::make_namespace_runner(
        *session_.zygote,
        choose_isolation(options_.request.steps.isolation, options_.request.tell_isolation, session_, progress_));
    sweep_once();
  }
  return *runner_;
}

solver::ops::BuildServices Build::services() {
  solver::ops::BuildServices services{
      .store = store_, .runner = [this]() -> sandbox::Runner& { return runner(); }, .fetch_blob = remote_.fetcher()};
  services.progress = &progress_;
  services.cancel = &cancel_;
  services.secrets = make_secrets(options_.request.steps.secrets);
  for (const SshSource& ssh : ssh_) services.ssh_agents.push_back({ssh.id, ssh.socket});
  services.logs = &logs_;
  services.log_limits = options_.request.steps.log_limits;
  services.dns = options_.request.steps.dns;
  sources_.offer_to(services);
  services.allow = options_.request.steps.allow;
  services.cdi_directories = options_.request.steps.cdi_directories;
  services.resources = options_.request.steps.resources;
  services.graph = &lowered_.graph;
  services.remote_cache = remote_cache_.importer();
  return services;
}

std::vector<solver::VertexId> Build::results() const {
  std::vector<solver::VertexId> ids;
  for (const frontend::LoweredTarget& target : lowered_.targets)
    if (target.result != solver::kNoInput) ids.push_back(target.result);
  return ids;
}

std::unordered_set<solver::VertexId> Build::layers_to_pack() const {
  std::unordered_set<solver::VertexId> layers;
  for (std::size_t i = 0; i < lowered_.targets.size(); ++i) {
    const std::vector<solver::VertexId>& own = lowered_.targets[i].layer_vertices;
    if (wants_image(options_, options_.request.inputs.targets[i])) layers.insert(own.begin(), own.end());
  }
  return layers;
}

void Build::count_steps() {
  for (const solver::VertexId id : lowered_.graph.reachable(results())) {
    if (std::holds_alternative<solver::LocalSource>(lowered_.graph[id].op)) continue;
    ++outcome_.steps_total;
    outcome_.steps_cached += report_.vertices[id].state == solver::VertexState::cached;
  }
}

/// Of the layers to pack, those that nothing else wants: neither another step nor an output that writes files.
std::unordered_set<solver::VertexId> Build::only_packed(std::unordered_set<solver::VertexId> layers) const {
  for (const solver::VertexId id : lowered_.graph.reachable(results()))
    for (const solver::VertexId input : lowered_.graph[id].inputs) layers.erase(input);
  for (std::size_t i = 0; i < lowered_.targets.size(); ++i)
    if (wants_files(options_, options_.request.inputs.targets[i])) layers.erase(lowered_.targets[i].result);
  return layers;
}

bool Build::solve() {
  if (results().empty()) return true;
  const std::unordered_set<solver::VertexId> layers = layers_to_pack();
  solver::ops::BuildServices shared = services();
  shared.packer = &*packer_;
  shared.only_packed = only_packed(layers);
  solver::ops::StoreExecutor executor(std::move(shared));
  solver::ops::CacheResultStore records(store_, project_, remote_cache_.importer());
  solver::SolveOptions solve_options;
  if (options_.request.caches.none) solve_options.told = solver::Reason::Kind::no_cache;
  solve_options.max_running_steps = options_.request.steps.jobs;
  solve_options.cancel = &cancel_;
  StepEvents steps(progress_, lowered_.graph, !losses_.empty());
  solve_options.progress = &steps;
  const bool all_layers = remote_cache_.wants_all_steps();
  solve_options.on_result = [&](solver::VertexId id, const solver::Result& result, bool cached) {
    const bool exported = layers.contains(id) || (all_layers && !solver::is_source(lowered_.graph[id].op));
    if (!cached && exported && !result.id.empty()) packer_->start(result.id);
  };
  report_ = solver::solve(lowered_.graph, results(), executor, records, solve_options);
  if (!options_.request.caches.to.empty() && !report_.failure && !report_.cancelled)
    keys_ = solver::definition_keys(lowered_.graph, results(), executor);
  executor.save_scans();
  count_steps();
  if (report_.failure && !report_.cancelled && is_worth_another_attempt(report_.failure->failure.error)) return false;
  if (report_.failure || report_.cancelled) report_failure();
  return !report_.failure && !report_.cancelled;
}

void Build::report_failure() {
  if (!report_.failure || cancel_.cancelled()) {
    outcome_.exit_code = exit_code::kInterrupted;
    outcome_.failure = "cancelled\n";
    return;
  }
  const solver::StepFailure& failure = report_.failure->failure;
  outcome_.exit_code = exit_code_of(failure.error);
  outcome_.failure = step_failure_text(lowered_.graph[report_.failure->vertex], failure, session_.root);
}

exporter::CacheContent Build::cache_content(const std::vector<TargetResult>& targets) {
  if (options_.request.caches.to.empty() || results().empty()) return {};
  std::vector<Digest> images;
  for (const TargetResult& target : targets) images.push_back(target.result.chain);
  return remote_cache_.content(lowered_.graph, results(), keys_, images);
}

exporter::ImageResult Build::image_result(const frontend::LoweredTarget& target) const {
  exporter::ImageResult result;
  if (target.result != solver::kNoInput) result.chain = report_.vertices[target.result].result.id;
  result.config = target.config;
  result.base_history = target.base_history;
  result.source_date_epoch = target.source_date_epoch;
  return result;
}

void Build::export_outputs() {
  std::vector<TargetResult> targets;
  for (std::size_t i = 0; i < lowered_.targets.size(); ++i)
    targets.push_back({options_.request.inputs.targets[i], image_result(lowered_.targets[i]), std::nullopt});
  try {
    const exporter::CacheContent cached = cache_content(targets);
    for (TargetResult& target : targets) remote_cache_.put_inline(cached, *packer_, target.result);
    write_outputs(options_, targets,
                  {store_,
                   *packer_,
                   remote_,
                   progress_,
                   cancel_,
                   lowered_.graph.size(),
                   {options_.request.in_history ? id_ : std::string(), findings_}});
    remote_cache_.export_all(cached, *packer_, lowered_.graph.size() + targets.size());
  } catch (const Error& error) {
    if (is_worth_another_attempt(error)) return;
    const bool no_base = dynamic_cast<const PullError*>(&error) != nullptr;
    outcome_.exit_code = cancel_.cancelled() ? exit_code::kInterrupted
                         : no_base           ? exit_code::kBuildFailed
                                             : exit_code::kExportFailed;
    outcome_.failure = error_text(error, session_.root);
  }
  for (const TargetResult& target : targets)
    if (target.image) outcome_.image_digests.push_back(target.image->manifest.digest.str());
  for (const TargetResult& target : targets)
    if (target.image) outcome_.image_ids.push_back(target.id.str());
}

void Build::finish() {
  if (outcome_.steps_cached == outcome_.steps_total && outcome_.exit_code == 0) return;
  try {
    sweep_once();
    store_.make_durable();
  } catch (const Error& error) {
    // The outputs are written. Nothing is lost but the certainty that the next build finds its steps after a power
    // loss.
    progress_.on_event(RunNote{Severity::warning, cat("the store was not synced: ", error.what())});
  }
  collect_garbage();
}

/// After a build that made something. Cheap unless the store is over its limits or a day has passed.
void Build::collect_garbage() {
  try {
    const std::vector<cache::Usage::Item> removed = cache::collect_if_due(store_);
    std::uint64_t bytes = 0;
    for (const cache::Usage::Item& item : removed) bytes += item.bytes;
    if (!removed.empty())
      progress_.on_event(
          RunNote{Severity::note, cat("gc: removed ", removed.size(), " unused things, ", format_size(bytes))});
  } catch (const Error& error) {
    progress_.on_event(RunNote{Severity::warning, cat("gc: ", error.what())});
  }
}

/// One row, whatever became of the build. History is never a reason to fail.
void Build::record(const std::string& error) noexcept {
  if (!options_.request.in_history) return;
  try {
    BuildEntry entry = describe_build_entry(options_.request, context_);
    entry.id = id_;
    entry.status = status_name(outcome_.exit_code, cancel_.cancelled());
    entry.dockerfile = options_.file.empty() ? dockerfile_name_ : options_.file;
    entry.image = join(outcome_.image_digests, ", ");
    entry.error = error;
    entry.started_ns = started_ns_;
    entry.finished_ns = started_ns_ + (sys::monotonic_ns() - began_ns_);
    entry.steps_total = outcome_.steps_total;
    entry.steps_cached = outcome_.steps_cached;
    entry.steps = step_entries(lowered_.graph, results(), report_, {began_ns_, store_.root(), logs_.path()});
    store_.add_build(to_summary(entry));
    if (outcome_.steps_cached != outcome_.steps_total) cache::sweep_builds(store_);
  } catch (const std::exception& failed) {
    progress_.on_event(RunNote{Severity::warning, cat("build history not written: ", failed.what())});
  }
}

}  // namespace

BuildOutcome run_build(const BuildLine& options, Session& session, ProgressSink& progress, CancelSource& cancel) {
  BuildOutcome outcome;
  try {
    return Build(options, session, progress, cancel).run();
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) outcome.failure += render(diagnostic);
    outcome.exit_code = exit_code::kBuildFailed;
  } catch (const Error& error) {
    outcome.failure = error_text(error, session.root);
    outcome.exit_code = cancel.cancelled() ? exit_code::kInterrupted : exit_code_of(error);
  }
  return outcome;
}

}  // namespace cbuild::cli
