// SPDX-License-Identifier: Apache-2.0
//
// The way of one vertex through a build: look up by content key; claim; look up again, because another process may have
// had the claim; run; publish; settle. A vertex is worked on in stretches: advance() goes on until there is something
// to wait for and names it, so that waiting costs no thread. The dispatcher decides who goes on when; the executor does
// the op; the store finds and keeps results. Definition keys were looked up before, in plan.cc.
#include "solver/step_work.h"

#include <utility>
#include <variant>

#include "base/sys.h"
#include "base/text.h"
#include "solver/graph/step_identity.h"

namespace cbuild::solver {

namespace {

bool is_image(const Vertex& vertex) { return std::holds_alternative<ImageSource>(vertex.op); }

/// One call of Executor::execute. Kept alive by the completion, so that neither a late second call of it nor
/// a request that is still read touches anything that is gone.
struct Execution {
  ExecuteRequest request;
  std::atomic_flag over;
};

}  // namespace

StepWork::StepWork(const Services& services, std::vector<VertexReport>& reports, const std::atomic<bool>& stopping,
                   Completed completed)
    : services_(services),
      reports_(reports),
      stopping_(stopping),
      completed_(std::move(completed)),
      steps_(services.graph.size()) {}

Next StepWork::advance(VertexId id) {
  try {
    return proceed(id);
  } catch (...) {
    return fail(id, current_failure());
  }
}

Next StepWork::proceed(VertexId id) {
  if (services_.plan.needs[id] != Need::work) return settle_unworked(id);
  switch (steps_[id].phase) {
    case Phase::begin:
      return is_image(services_.graph[id]) ? begin_image(id) : begin(id);
    case Phase::have_claim:
      return have_claim(id);
    case Phase::run:
      return run(id);
    case Phase::finish:
      return finish(id);
  }
  CBUILD_CHECK(!"a phase");
  return Next::failed;
}

void StepWork::give_claim(VertexId id, std::unique_ptr<Claim> claim) { steps_[id].claim = std::move(claim); }

void StepWork::give_outcome(VertexId id, Outcome outcome) {
  steps_[id].outcome = std::move(outcome);
  steps_[id].phase = Phase::finish;
}

Next StepWork::settle_unworked(VertexId id) {
  const auto hit = services_.plan.hits.find(id);
  if (hit != services_.plan.hits.end()) {
    reports_[id].found_by = FoundBy::definition;
    return settle(id, hit->second, true);
  }
  announce(id, {});
  conclude(id, VertexState::cached, TaskState::cached);
  return Next::done;
}

Next StepWork::begin_image(VertexId id) {
  steps_[id].key = cbuild::solver::content_key(services_.graph, id, {}, services_.locals, services_.executor);
  return run(id);
}

Next StepWork::begin(VertexId id) {
  Step& step = steps_[id];
  step.inputs = input_results(id);
  step.key = cbuild::solver::content_key(services_.graph, id, step.inputs, services_.locals, services_.executor);
  if (const std::optional<CachedResult> cached = look_up(id)) return settle_hit(id, *cached);
  step.claim = services_.store.try_claim(step.key.key);
  if (!step.claim) {
    step.phase = Phase::have_claim;
    announce(id, "waiting for another build that runs this step");
    return Next::await_claim;
  }
  // Another process may have finished it between the look-up and the claim.
  if (const std::optional<CachedResult> cached = look_up(id)) return settle_hit(id, *cached);
  return run(id);
}

Next StepWork::have_claim(VertexId id) {
  if (const std::optional<CachedResult> cached = look_up(id)) return settle_hit(id, *cached);
  steps_[id].phase = Phase::run;
  return Next::await_slot;
}

Next StepWork::run(VertexId id) {
  if (stopping_.load(std::memory_order_acquire)) return cancel(id);
  reports_[id].reason = miss_reason(id);
  const Reason& reason = reports_[id].reason;
  announce(id, reason.kind == services_.options.told ? std::string() : reason.text);
  steps_[id].run_began_ns = sys::monotonic_ns();
  execute(id);
  return Next::executing;
}

/// After the call the vertex may belong to another thread already.
void StepWork::execute(VertexId id) {
  const auto execution = std::make_shared<Execution>();
  execution->request = {id, &services_.graph[id], std::move(steps_[id].inputs), steps_[id].key.key};
  const Completion done = [this, execution](Outcome outcome) {
    if (!execution->over.test_and_set()) completed_(execution->request.id, std::move(outcome));
  };
  try {
    services_.executor.execute(execution->request, done);
  } catch (...) {
    done(current_failure());
  }
}

Next StepWork::finish(VertexId id) {
  Step& step = steps_[id];
  const Outcome outcome = std::exchange(step.outcome, std::nullopt).value();
  if (const auto* failure = std::get_if<StepFailure>(&outcome)) return fail(id, *failure);
  const CachedResult made{std::get<Result>(outcome), sys::now_ns(), sys::monotonic_ns() - step.run_began_ns};
  if (!is_image(services_.graph[id])) services_.store.publish(publication(id, made));
  step.claim.reset();
  return settle(id, made, false);
}

// Details that the content key leaves out (times, above all) may differ between the inputs of this build and those that
// the record was made on. This build's stay: only the step's own changes are taken.
Next StepWork::settle_hit(VertexId id, const CachedResult& found) {
  Step& step = steps_[id];
  CachedResult cached = found;
  cached.result = services_.executor.rebase({id, &services_.graph[id], step.inputs, step.key.key}, found.result);
  step.claim.reset();
  reports_[id].found_by = FoundBy::content;
  try {
    Publication wanted = publication(id, cached);
    if (cached.result == found.result) wanted.parts.clear();
    services_.store.publish(wanted);
  } catch (const Error& error) {
    // The result stands; only the next look-up has a longer way.
    services_.progress.on_event(RunNote{Severity::warning, cat("cache key not recorded: ", error.what())});
  }
  return settle(id, cached, true);
}

Next StepWork::settle(VertexId id, const CachedResult& found, bool cached) {
  VertexReport& report = reports_[id];
  report.result = found.result;
  report.created_ns = found.created_ns;
  if (services_.options.on_result) services_.options.on_result(id, report.result, cached);
  announce(id, {});
  conclude(id, cached ? VertexState::cached : VertexState::ran, cached ? TaskState::cached : TaskState::ok);
  return Next::done;
}

/// Whoever stops the build may tell the executor before the scheduler sees it.
Next StepWork::fail(VertexId id, StepFailure failure) {
  const bool was_stopped = stopping_.load(std::memory_order_acquire) || stopped_from_outside();
  if (failure.error.code() == ErrorCode::cancelled && was_stopped) return cancel(id);
  // A missing result is made again by the next solve: no failure of the step.
  if (failure.error.code() == ErrorCode::missing_content)
    abandon(id);
  else
    report_failure(id, failure);
  steps_[id].failure = std::move(failure);
  return Next::failed;
}

void StepWork::report_failure(VertexId id, const StepFailure& failure) {
  announce(id, {});
  conclude(id, VertexState::failed, TaskState::failed, failure.error.what());
}

Next StepWork::cancel(VertexId id) {
  abandon(id);
  return Next::cancelled;
}

void StepWork::abandon(VertexId id) {
  if (steps_[id].announced) {
    conclude(id, VertexState::cancelled, TaskState::cancelled);
  } else {
    reports_[id].state = VertexState::cancelled;
  }
}

std::optional<CachedResult> StepWork::look_up(VertexId id) {
  if (services_.graph[id].ignore_cache) return std::nullopt;
  return services_.store.find(steps_[id].key.key);
}

std::vector<Result> StepWork::input_results(VertexId id) const {
  std::vector<Result> results;
  for (const VertexId input : services_.graph[id].inputs) {
    results.push_back(input == kNoInput ? Result{} : reports_[input].result);
  }
  return results;
}

Publication StepWork::publication(VertexId id, const CachedResult& cached) const {
  const Vertex& vertex = services_.graph[id];
  const bool has_base = !vertex.inputs.empty() && vertex.inputs[0] != kNoInput;
  return {services_.plan.definition_keys[id],
          steps_[id].key.key,
          cached,
          step_identity(vertex),
          has_base ? reports_[vertex.inputs[0]].result.id : Digest{},
          steps_[id].key.parts};
}

Reason StepWork::miss_reason(VertexId id) {
  if (is_image(services_.graph[id])) return {};
  if (services_.graph[id].ignore_cache)
    return {Reason::Kind::no_cache, "the cache is not to be used (--no-cache or --no-cache-filter)", {}, 0};
  return services_.store.explain_miss(publication(id, {}));
}

void StepWork::announce(VertexId id, const std::string& note) {
  if (std::exchange(steps_[id].announced, true)) return;
  reports_[id].started_ns = sys::monotonic_ns();
  services_.progress.on_event(TaskStarted{id, reports_[id].started_ns, note});
}

void StepWork::conclude(VertexId id, VertexState state, TaskState shown, const std::string& error) {
  VertexReport& report = reports_[id];
  report.state = state;
  report.finished_ns = sys::monotonic_ns();
  report.key = steps_[id].key.key.empty() ? services_.plan.definition_keys[id] : steps_[id].key.key;
  // Of 10,000 steps only those under way need their keys and key parts.
  steps_[id].claim.reset();
  steps_[id].key.parts = {};
  services_.progress.on_event(TaskFinished{id, report.finished_ns, shown, error});
}

bool StepWork::stopped_from_outside() const {
  return services_.options.cancel && services_.options.cancel->cancelled();
}

}  // namespace cbuild::solver
