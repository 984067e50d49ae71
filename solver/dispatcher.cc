// SPDX-License-Identifier: Apache-2.0
// Carries out a plan; vertex_queue.cc says which vertex can go on, step_work.cc does the work, claim_waiter.cc waits
// for other processes. A vertex goes idle -> queued -> working -> (executing | awaiting_claim | queued) ... -> over.
// Those that run a command or copy files count against the limit of running steps, from their key to their publication,
// so that with one slot the order is that of the ids alone. "Drainers" are TBB tasks that take vertices until none can
// go on; there are never more than workers.
#include "solver/dispatcher.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/process/threads.h"
#include "base/text.h"

namespace cbuild::solver {

namespace {

constexpr std::chrono::milliseconds kCancelPoll{20};

unsigned default_slots() { return std::max(16u, 4 * std::thread::hardware_concurrency()); }

/// Pipes, directories of the layers and locks of one step, about.
constexpr unsigned kFilesOfAStep = 8;

/// Processes of steps that run at once, and the threads that start and finish them, about.
constexpr unsigned kThreadsOfSteps = 16;

unsigned limit_of_running_steps(const SolveOptions& options) {
  if (!has_room_for_threads(kThreadsOfSteps)) return 1;
  const unsigned wanted = options.max_running_steps;
  return jobs_within_open_files(wanted != 0 ? wanted : default_slots(), kFilesOfAStep);
}

bool is_cancelled_from_outside(const SolveOptions& options) { return options.cancel && options.cancel->cancelled(); }

void cancel_executor(const StepWork::Services& services) {
  try {
    services.executor.cancel();
  } catch (...) {
    const StepFailure failure = current_failure();
    services.progress.on_event(RunNote{Severity::warning, cat("cannot end running steps: ", failure.error.what())});
  }
}

}  // namespace

Dispatcher::Dispatcher(const StepWork::Services& services, std::vector<VertexReport>& reports)
    : services_(services),
      work_(services, reports, stopping_,
            [this](VertexId id, Outcome outcome) { on_completed(id, std::move(outcome)); }),
      queue_(services.graph, services.plan),
      waiter_(services.store, [this](VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error) {
        on_claimed(id, std::move(claim), error);
      }) {}

Dispatcher::~Dispatcher() = default;

void Dispatcher::run() {
  begin();
  wait();
  for (const VertexId id : services_.plan.reached)
    if (!queue_.is_over(id)) work_.abandon(id);
}

std::optional<SolveFailure> Dispatcher::failure() const {
  std::optional<SolveFailure> missing;
  for (const VertexId id : services_.plan.reached) {
    const std::optional<StepFailure>& failure = work_.failure(id);
    if (!failure) continue;
    if (failure->error.code() != ErrorCode::missing_content) return SolveFailure{id, *failure};
    if (!missing) missing = SolveFailure{id, *failure};
  }
  return missing;
}

/// Vertices without work are shown, and images opened, here: it is cheap, and a build that needs nothing else then
/// needs no thread.
void Dispatcher::begin() {
  for (const VertexId id : services_.plan.reached) {
    if (services_.plan.needs[id] == Need::work) continue;
    queue_.skip(id);
    if (work_.advance(id) == Next::done) continue;
    stop(true);
    return;
  }
  std::vector<VertexId> ready = queue_.ready_from_start();
  const auto others = std::stable_partition(ready.begin(), ready.end(), [&](VertexId id) {
    return std::holds_alternative<ImageSource>(services_.graph[id].op);
  });
  for (auto image = ready.begin(); image != others && !stopping_.load(); ++image) work_inline(*image);
  const std::lock_guard lock(mutex_);
  if (stopping_.load()) return;
  for (auto other = others; other != ready.end(); ++other) queue_.add(*other, false);
  wake();
}

void Dispatcher::work_inline(VertexId id) {
  std::unique_lock lock(mutex_);
  queue_.set_working(id);
  lock.unlock();
  Next next = work_.advance(id);
  lock.lock();
  if (next == Next::executing && work_.is_finishing(id)) {
    lock.unlock();
    next = work_.advance(id);
    lock.lock();
  }
  apply(id, next);
}

void Dispatcher::wait() {
  const auto has_ended = [&] {
    return drainers_ == 0 && queue_.is_at_rest() && (queue_.is_all_over() || stopping_.load());
  };
  std::unique_lock lock(mutex_);
  while (true) {
    if (ending_ == Ending::none && !has_ended() && is_cancelled_from_outside(services_.options)) {
      cancelled_ = true;
      stop(true);
    }
    if (ending_ == Ending::due) {
      ending_ = Ending::begun;
      lock.unlock();
      cancel_executor(services_);
      lock.lock();
      continue;
    }
    if (has_ended()) return;
    if (services_.options.cancel) {
      changed_.wait_for(lock, kCancelPoll);
    } else {
      changed_.wait(lock);
    }
  }
}

void Dispatcher::drain() {
  std::unique_lock lock(mutex_);
  while (const std::optional<VertexId> id = queue_.take()) {
    ++busy_drainers_;
    lock.unlock();
    const Next next = work_.advance(*id);
    lock.lock();
    --busy_drainers_;
    apply(*id, next);
    wake();
  }
  --drainers_;
  changed_.notify_one();
}

/// Makes sure that there is an idle drainer for each vertex that can go on now, as far as there are workers.
void Dispatcher::wake() {
  if (!queue_.has_slots()) queue_.set_slots(limit_of_running_steps(services_.options));
  const std::size_t takeable = queue_.takeable();
  if (takeable == 0) return;
  if (!pool_) pool_ = std::make_unique<WorkerPool>();
  while (drainers_ - busy_drainers_ < takeable && drainers_ < pool_->width()) {
    ++drainers_;
    pool_->enqueue([this] { drain(); });
  }
}

void Dispatcher::apply(VertexId id, Next next) {
  switch (next) {
    case Next::done:
      queue_.finish(id, !stopping_.load());
      return;
    case Next::failed:
      queue_.finish(id, !stopping_.load());
      stop(work_.failure(id)->error.code() != ErrorCode::missing_content);
      return;
    case Next::cancelled:
      queue_.finish(id, !stopping_.load());
      if (stopping_.load()) return;
      cancelled_ = true;
      stop(true);
      return;
    case Next::await_claim:
      queue_.release(id);
      queue_.set_idle(id);
      if (!stopping_.load()) await_claim(id);
      return;
    case Next::await_slot:
      queue_.set_idle(id);
      if (!stopping_.load()) queue_.add(id, work_.is_finishing(id));
      return;
    case Next::executing:
      if (work_.is_finishing(id)) {
        queue_.add(id, true);
      } else {
        queue_.set_executing(id);
      }
      // The executor may have been cancelled before it got this step.
      if (ending_ != Ending::none) {
        ending_ = Ending::due;
        changed_.notify_one();
      }
      return;
  }
}

/// Steps that have not begun never will; results that are not yet published still are. Running steps may be let run to
/// their end: after content was found missing the build goes on, and the next solve finds their results.
void Dispatcher::stop(bool end_running) {
  if (!stopping_.exchange(true)) {
    queue_.clear_but([&](VertexId id) { return work_.is_finishing(id); });
    waiter_.clear();
  }
  if (end_running && ending_ == Ending::none) ending_ = Ending::due;
  changed_.notify_one();
}

void Dispatcher::on_completed(VertexId id, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  work_.give_outcome(id, std::move(outcome));
  if (!queue_.end_executing(id)) return;  // execute() has not returned yet
  queue_.add(id, work_.is_finishing(id));
  wake();
}

void Dispatcher::await_claim(VertexId id) {
  queue_.set_awaiting_claim(id);
  try {
    waiter_.add(id, work_.content_key(id));
  } catch (...) {
    work_.give_outcome(id, current_failure());
    queue_.add(id, work_.is_finishing(id));
  }
}

void Dispatcher::on_claimed(VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error) {
  const std::lock_guard lock(mutex_);
  if (!queue_.is_awaiting_claim(id) || stopping_.load()) return;
  if (error) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      work_.give_outcome(id, current_failure());
    }
  } else {
    work_.give_claim(id, std::move(claim));
  }
  queue_.add(id, true);
  wake();
}

}  // namespace cbuild::solver
