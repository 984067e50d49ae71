// SPDX-License-Identifier: Apache-2.0
//
// The way of one vertex through a build: look up by content key; claim; look up again, because another process may have
// had the claim; run; publish; settle. A vertex is worked on in stretches: advance() goes on until there is something
// to wait for and names it, so that waiting costs no thread. The dispatcher decides who goes on when; the executor does
// the op; the store finds and keeps results. Definition keys were looked up before, in plan.cc.
#include "solver/step_work.h"

#include <utility>
#include <variant>

#include "base/error.h"
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

std::optional<CachedResult> look_up(const StepWork::Services& services, VertexId id, const ContentKey& key) {
  if (services.graph[id].ignore_cache) return std::nullopt;
  return services.store.find(key.key);
}

std::vector<Result> input_results(const Vertex& vertex, const StepReports& reports) {
  std::vector<Result> results;
  for (const VertexId input : vertex.inputs) results.push_back(input == kNoInput ? Result{} : reports[input].result);
  return results;
}

Publication publication(const StepWork::Services& services, VertexId id, const ContentKey& key,
                        const StepReports& reports, const CachedResult& cached) {
  const Vertex& vertex = services.graph[id];
  const bool has_base = !vertex.inputs.empty() && vertex.inputs[0] != kNoInput;
  return {services.plan.definition_keys[id],
          key.key,
          cached,
          step_identity(vertex),
          has_base ? reports[vertex.inputs[0]].result.id : Digest{},
          key.parts};
}

Reason miss_reason(const StepWork::Services& services, VertexId id, const ContentKey& key, const StepReports& reports) {
  if (is_image(services.graph[id])) return {};
  if (services.graph[id].ignore_cache)
    return {Reason::Kind::no_cache, "the cache is not to be used (--no-cache or --no-cache-filter)", {}, 0};
  return services.store.explain_miss(publication(services, id, key, reports, {}));
}

bool stopped_from_outside(const SolveOptions& options) { return options.cancel && options.cancel->cancelled(); }

}  // namespace

StepWork::StepWork(const Services& services, std::vector<VertexReport>& reports, const std::atomic<bool>& stopping,
                   Completed completed)
    : services_(services),
      reports_(reports, services.progress),
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
  if (services_.plan.needs[id] != Need::work) {
    const auto hit = services_.plan.hits.find(id);
    if (hit != services_.plan.hits.end()) {
      reports_[id].found_by = FoundBy::definition;
      return settle(id, hit->second, true);
    }
    reports_.announce(id, {});
    reports_.conclude(id, close(id), VertexState::cached, TaskState::cached);
    return Next::done;
  }
  switch (steps_[id].phase) {
    case Phase::begin:
      return begin(id);
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

Next StepWork::begin(VertexId id) {
  Step& step = steps_[id];
  step.inputs = input_results(services_.graph[id], reports_);
  step.key = cbuild::solver::content_key(services_.graph, id, step.inputs, services_.locals, services_.executor);
  if (is_image(services_.graph[id])) return run(id);
  if (const std::optional<CachedResult> cached = look_up(services_, id, step.key)) return settle_hit(id, *cached);
  step.claim = services_.store.try_claim(step.key.key);
  if (!step.claim) {
    step.phase = Phase::have_claim;
    reports_.announce(id, "waiting for another build that runs this step");
    return Next::await_claim;
  }
  // Another process may have finished it between the look-up and the claim.
  if (const std::optional<CachedResult> cached = look_up(services_, id, step.key)) return settle_hit(id, *cached);
  return run(id);
}

Next StepWork::have_claim(VertexId id) {
  Step& step = steps_[id];
  if (const std::optional<CachedResult> cached = look_up(services_, id, step.key)) return settle_hit(id, *cached);
  step.phase = Phase::run;
  return Next::await_slot;
}

Next StepWork::run(VertexId id) {
  if (stopping_.load(std::memory_order_acquire)) {
    abandon(id);
    return Next::cancelled;
  }
  reports_[id].reason = miss_reason(services_, id, steps_[id].key, reports_);
  const Reason& reason = reports_[id].reason;
  reports_.announce(id, reason.kind == services_.options.told ? std::string() : reason.text);
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
  const auto* known = std::get_if<KnownSource>(&outcome);
  const Result& result = known != nullptr ? known->result : std::get<Result>(outcome);
  const CachedResult made{result, sys::now_ns(), sys::monotonic_ns() - step.run_began_ns};
  if (!is_image(services_.graph[id])) services_.store.publish(publication(services_, id, step.key, reports_, made));
  step.claim.reset();
  return settle(id, made, known != nullptr);
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
    Publication wanted = publication(services_, id, step.key, reports_, cached);
    if (cached.result == found.result) wanted.parts.clear();
    services_.store.publish(wanted);
  } catch (const Error& error) {
    // The result stands; only the next look-up has a longer way.
    reports_.warn(cat("cache key not recorded: ", error.what()));
  }
  return settle(id, cached, true);
}

Next StepWork::settle(VertexId id, const CachedResult& found, bool cached) {
  VertexReport& report = reports_[id];
  report.result = found.result;
  report.created_ns = found.created_ns;
  if (services_.options.on_result) services_.options.on_result(id, report.result, cached);
  reports_.announce(id, {});
  reports_.conclude(id, close(id), cached ? VertexState::cached : VertexState::ran,
                    cached ? TaskState::cached : TaskState::ok);
  return Next::done;
}

/// Whoever stops the build may tell the executor before the scheduler sees it.
Next StepWork::fail(VertexId id, StepFailure failure) {
  const bool was_stopped = stopping_.load(std::memory_order_acquire) || stopped_from_outside(services_.options);
  if (failure.error.code() == ErrorCode::cancelled && was_stopped) {
    abandon(id);
    return Next::cancelled;
  }
  // A missing result is made again by the next solve: no failure of the step.
  if (failure.error.code() == ErrorCode::missing_content)
    abandon(id);
  else
    report_failure(id, failure);
  steps_[id].failure = std::move(failure);
  return Next::failed;
}

void StepWork::report_failure(VertexId id, const StepFailure& failure) { reports_.fail(id, close(id), failure); }

void StepWork::abandon(VertexId id) { reports_.abandon(id, close(id)); }

// Of 10,000 steps only those under way need their keys' parts.
Digest StepWork::close(VertexId id) {
  steps_[id].claim.reset();
  steps_[id].key.parts = {};
  return steps_[id].key.key.empty() ? services_.plan.definition_keys[id] : steps_[id].key.key;
}

}  // namespace cbuild::solver
