// SPDX-License-Identifier: Apache-2.0
// A build as a list of passes over values, each in a file of its own: prepare (services), lower, solve, export, finish.
// Solving and exporting are an attempt: a layer of the store or of a remote cache may turn out to be missing only when
// it is needed, and then both are done again (missing_content.h). The history gets a row whatever became of the build.
#include "engine/builder.h"

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/packer.h"
#include "engine/build_cache.h"
#include "engine/early_pushes.h"
#include "engine/enter_build.h"
#include "engine/export_build.h"
#include "engine/failures.h"
#include "engine/finish_build.h"
#include "engine/history_record.h"
#include "engine/lower_build.h"
#include "engine/missing_content.h"
#include "engine/provenance.h"
#include "engine/services.h"
#include "engine/solve_build.h"
#include "engine/step_runner.h"

namespace cbuild::engine {
namespace {

/// The state that later passes and the history read.
struct Work {
  explicit Work(Services& services)
      : caches(services.store, services.remote, services.request, services.progress, services.cancel),
        runner(services),
        logs(services.store, id) {}

  const std::int64_t started_ns = sys::now_ns(), began_ns = sys::monotonic_ns();
  const std::string id = new_build_id(started_ns);
  BuildCache caches;
  std::optional<EarlyPushes> early;  ///< of the last attempt, as what follows
  std::optional<cache::Packer> packer;
  StepRunner runner;
  LoweredBuild lowered;
  cache::BuildLogs logs;
  SolvedBuild solved;    ///< in the last attempt
  double visited_s = 0;  ///< spent in a failed step
};

/// Adds the time that `pass` takes to `seconds`.
template <typename Pass>
void timed(double& seconds, const Pass& pass) {
  const std::int64_t begin = sys::monotonic_ns();
  pass();
  seconds += static_cast<double>(sys::monotonic_ns() - begin) / 1e9;
}

void solve(Services& services, Work& work, MissingContent& missing, BuildResult& result) {
  SolveParts parts{work.lowered, work.caches, work.runner, work.logs, *work.packer, *work.early, missing.repeats()};
  if (services.request.steps.on_failure)
    parts.on_solved = [&](solver::ops::StoreExecutor& executor, const solver::SolveReport& report) {
      timed(work.visited_s, [&] { enter_failed_step(services, work.lowered, executor, report); });
    };
  work.solved = solve_build(services, parts);
  count_steps(work.lowered, work.solved, result);
  const solver::SolveReport& report = work.solved.report;
  if (report.failure && !report.cancelled && missing.take(report.failure->failure.error)) return;
  result.failure = failure_of(report, work.lowered, services.cancel.cancelled());
}

void write_outputs(Services& services, Work& work, MissingContent& missing, BuildResult& result) {
  try {
    export_build(
        services,
        {work.lowered, work.solved, work.caches, *work.packer, work.early->uploads(), work.id, work.started_ns},
        result);
  } catch (const Error& error) {
    if (missing.take(error)) return;
    const bool no_base = dynamic_cast<const PullError*>(&error) != nullptr;
    if (services.cancel.cancelled())
      result.failure = Cancelled{error};
    else
      result.failure = Failed{error, no_base ? Failed::Part::base : Failed::Part::output};
  }
}

void attempt(Services& services, Work& work, MissingContent& missing, BuildResult& result) {
  missing.begin_attempt();
  work.packer.reset();  // before that which reads its blobs
  work.early.emplace(services, work.lowered);
  work.packer.emplace(services.store, pack_options(services.request, services.cancel), work.early->uploads());
  result.images.clear();
  timed(result.solve_s, [&] { solve(services, work, missing, result); });
  if (!result.failure && !missing.found())
    timed(result.export_s, [&] { write_outputs(services, work, missing, result); });
}

void run_passes(Services& services, Work& work, BuildResult& result) {
  for (const std::string& note : services.store.notes()) services.progress.on_event(RunNote{Severity::warning, note});
  check_outputs(services.request, services.cancel);
  timed(result.lower_s, [&] { lower_build(services, work.lowered, result.findings); });
  note_all_steps(services);
  MissingContent missing(services.progress, services.cancel);
  do {
    attempt(services, work, missing, result);
  } while (missing.found());
  finish_build(services, work.runner, result);
}

struct End {
  std::string status, error;  ///< error: a failure outside of steps and outputs
};

/// Of a build that succeeded.
std::string least_provenance(Services& services, const Work& work) {
  const auto& wanted = services.request.outputs.attestations.provenance;
  if (!wanted || work.lowered.targets.targets.empty()) return {};
  supply::ProvenanceSettings settings = *wanted;
  settings.max = settings.complete_materials = false;
  return supply::to_predicate(provenance_of(services, {work.lowered, work.solved, work.id, work.started_ns}, 0, false),
                              settings);
}

/// One row, whatever became of the build. History is never a reason to fail.
void record(Services& services, const Work& work, const BuildResult& result, const End& end) noexcept {
  const BuildRequest& request = services.request;
  if (!request.in_history) return;
  try {
    const std::string& name = request.inputs.context_name;
    BuildEntry entry = describe_build_entry(request, name.empty() ? work.lowered.context_path : name);
    entry.id = work.id;
    entry.status = end.status;
    entry.dockerfile = spelling(request.inputs.dockerfile);
    if (entry.dockerfile.empty()) entry.dockerfile = work.lowered.dockerfile_name;
    std::vector<std::string> images;
    for (const TargetImage& image : result.images) images.push_back(image.manifest.digest.str());
    entry.image = join(images, ", ");
    entry.error = end.error;
    entry.again = request.again;
    if (!result.failure) entry.provenance = least_provenance(services, work);
    entry.started_ns = work.started_ns;
    entry.finished_ns =
        work.started_ns + (sys::monotonic_ns() - work.began_ns) - static_cast<std::int64_t>(work.visited_s * 1e9);
    entry.steps_total = result.steps_total;
    entry.steps_cached = result.steps_cached;
    entry.steps = step_entries(work.lowered.graph(), work.lowered.results(), work.solved.report,
                               {work.began_ns, services.store.root(), work.logs.path(), &work.solved.uses});
    services.store.add_build(to_summary(entry));
    if (result.steps_cached != result.steps_total) cache::clean_up_builds(services.store);
  } catch (const std::exception& failed) {
    services.progress.on_event(RunNote{Severity::warning, cat("build history not written: ", failed.what())});
  }
}

/// Everything between the opening of the store and the result.
void build_on(Services& services, BuildResult& result) {
  Work work(services);
  const CancelSource& cancel = services.cancel;
  if (services.request.in_history) result.id = work.id;
  try {
    run_passes(services, work, result);
  } catch (const std::exception& thrown) {
    const Failed failed{Error(ErrorCode::internal, thrown.what())};
    record(services, work, result, {status_name(failed, cancel.cancelled()), thrown.what()});
    throw;
  }
  record(services, work, result, {status_name(result.failure, cancel.cancelled()), {}});
}

}  // namespace

BuildResult Builder::build(const BuildRequest& request, ProgressSink& progress, const CancelSource& cancel) {
  return failures_in_result(cancel, [&](BuildResult& result) {
    Services services(request, session_, progress, cancel);
    build_on(services, result);
  });
}

}  // namespace cbuild::engine
