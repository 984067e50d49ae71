// SPDX-License-Identifier: Apache-2.0
// Decides which vertex goes on when; step_work.cc does the work, claim_waiter.cc waits for other processes. A vertex
// goes idle -> queued -> working -> (executing | awaiting_claim | queued) ... -> over. Ready ones lie in two sets:
// those that run a command or copy files count against the limit of running steps, from their key to their publication,
// so that with one slot the order is that of the ids alone; all others go on at once. "Drainers" are TBB tasks that
// take vertices until both sets are empty; there are never more than workers.
#include "solver/dispatcher.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <variant>

#include "base/process_limits.h"
#include "base/text.h"
#include "base/threads.h"

namespace cbuild::solver {

namespace {

constexpr std::chrono::milliseconds kCancelPoll{20};

unsigned default_slots() { return std::max(16u, 4 * std::thread::hardware_concurrency()); }

/// Pipes, directories of the layers and locks of one step, about.
constexpr unsigned kFilesOfAStep = 8;

/// Processes of steps that run at once, and the threads that start and finish them, about.
constexpr unsigned kThreadsOfSteps = 16;

}  // namespace

Dispatcher::Dispatcher(const StepWork::Services& services, std::vector<VertexReport>& reports)
    : services_(services),
      work_(services, reports, stopping_,
            [this](VertexId id, Outcome outcome) { on_completed(id, std::move(outcome)); }),
      nodes_(services.graph.size()),
      waiter_(services.store, [this](VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error) {
        on_claimed(id, std::move(claim), error);
      }) {}

Dispatcher::~Dispatcher() = default;

void Dispatcher::run() {
  count_inputs();
  if (show_unworked()) begin_ready();
  wait();
  for (const VertexId id : services_.plan.reached) {
    if (nodes_[id].state != State::over) work_.abandon(id);
  }
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

void Dispatcher::count_inputs() {
  const std::vector<Need>& needs = services_.plan.needs;
  for (const VertexId id : services_.plan.reached) {
    if (needs[id] != Need::work) continue;
    ++unfinished_;
    for (const VertexId input : services_.graph[id].inputs) {
      if (input == kNoInput || needs[input] != Need::work) continue;
      std::vector<VertexId>& readers = nodes_[input].readers;
      if (!readers.empty() && readers.back() == id) continue;
      readers.push_back(id);
      ++nodes_[id].missing_inputs;
    }
  }
}

/// False if one of them failed.
bool Dispatcher::show_unworked() {
  for (const VertexId id : services_.plan.reached) {
    if (services_.plan.needs[id] == Need::work) continue;
    nodes_[id].state = State::over;
    if (work_.advance(id) == Next::done) continue;
    stop(true);
    return false;
  }
  return true;
}

/// Images are opened here: it is cheap, and a build that needs nothing else then needs no thread.
void Dispatcher::begin_ready() {
  std::vector<VertexId> images, others;
  for (const VertexId id : services_.plan.reached) {
    if (services_.plan.needs[id] != Need::work || nodes_[id].missing_inputs != 0) continue;
    const bool is_image = std::holds_alternative<ImageSource>(services_.graph[id].op);
    (is_image ? images : others).push_back(id);
  }
  for (const VertexId id : images) {
    if (!stopping_.load()) work_inline(id);
  }
  const std::lock_guard lock(mutex_);
  if (stopping_.load()) return;
  for (const VertexId id : others) enqueue(id);
  wake();
}

void Dispatcher::work_inline(VertexId id) {
  std::unique_lock lock(mutex_);
  nodes_[id].state = State::working;
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
  std::unique_lock lock(mutex_);
  while (true) {
    if (!ending_running_ && !has_ended() && is_cancelled_from_outside()) {
      cancelled_ = true;
      stop(true);
    }
    if (std::exchange(cancel_executor_wanted_, false)) {
      lock.unlock();
      cancel_executor();
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

bool Dispatcher::has_ended() const {
  const bool at_rest = drainers_ == 0 && executing_ == 0 && ready_.empty();
  return at_rest && (unfinished_ == 0 || stopping_.load());
}

void Dispatcher::drain() {
  std::unique_lock lock(mutex_);
  while (const std::optional<VertexId> id = take()) {
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

std::optional<VertexId> Dispatcher::take() {
  const bool from_ready = !ready_.empty();
  if (!from_ready && (ready_for_slot_.empty() || slots_in_use_ >= slots_)) return std::nullopt;
  std::set<VertexId>& queue = from_ready ? ready_ : ready_for_slot_;
  const VertexId id = *queue.begin();
  queue.erase(queue.begin());
  nodes_[id].state = State::working;
  if (!from_ready) {
    nodes_[id].has_slot = true;
    ++slots_in_use_;
  }
  return id;
}

/// Makes sure that there is an idle drainer for each vertex that can go on now, as far as there are workers.
void Dispatcher::wake() {
  if (slots_ == 0) {
    const unsigned wanted = services_.options.max_running_steps;
    slots_ = !has_room_for_threads(kThreadsOfSteps)
                 ? 1
                 : jobs_within_open_files(wanted != 0 ? wanted : default_slots(), kFilesOfAStep);
  }
  const std::size_t with_slot = std::min<std::size_t>(ready_for_slot_.size(), slots_ - slots_in_use_);
  const std::size_t takeable = ready_.size() + with_slot;
  if (takeable == 0) return;
  if (!pool_) pool_ = std::make_unique<WorkerPool>();
  while (drainers_ - busy_drainers_ < takeable && drainers_ < pool_->width()) {
    ++drainers_;
    pool_->enqueue([this] { drain(); });
  }
}

void Dispatcher::enqueue(VertexId id) {
  Node& node = nodes_[id];
  node.state = State::queued;
  const bool waits_for_slot = needs_slot(id) && !node.has_slot && !work_.is_finishing(id);
  (waits_for_slot ? ready_for_slot_ : ready_).insert(id);
}

void Dispatcher::apply(VertexId id, Next next) {
  Node& node = nodes_[id];
  switch (next) {
    case Next::done:
      finish_node(id);
      return;
    case Next::failed:
      finish_node(id);
      stop(work_.failure(id)->error.code() != ErrorCode::missing_content);
      return;
    case Next::cancelled:
      finish_node(id);
      if (stopping_.load()) return;
      cancelled_ = true;
      stop(true);
      return;
    case Next::await_claim:
      release_slot(node);
      node.state = stopping_.load() ? State::idle : State::awaiting_claim;
      if (!stopping_.load()) await_claim(id);
      return;
    case Next::await_slot:
      node.state = State::idle;
      if (!stopping_.load()) enqueue(id);
      return;
    case Next::executing:
      if (work_.is_finishing(id)) {
        enqueue(id);
      } else {
        node.state = State::executing;
        ++executing_;
      }
      // The executor may have been cancelled before it got this step.
      if (ending_running_) {
        cancel_executor_wanted_ = true;
        changed_.notify_one();
      }
      return;
  }
}

void Dispatcher::finish_node(VertexId id) {
  Node& node = nodes_[id];
  release_slot(node);
  node.state = State::over;
  --unfinished_;
  if (stopping_.load()) return;
  for (const VertexId reader : node.readers) {
    if (--nodes_[reader].missing_inputs == 0) enqueue(reader);
  }
}

void Dispatcher::release_slot(Node& node) {
  if (std::exchange(node.has_slot, false)) --slots_in_use_;
}

/// Steps that have not begun never will; results that are not yet published still are. Running steps may be let run to
/// their end: after content was found missing the build goes on, and the next solve finds their results.
void Dispatcher::stop(bool end_running) {
  if (!stopping_.exchange(true)) {
    ready_for_slot_.clear();
    std::erase_if(ready_, [&](VertexId id) { return !work_.is_finishing(id); });
    waiter_.clear();
  }
  if (end_running && !std::exchange(ending_running_, true)) cancel_executor_wanted_ = true;
  changed_.notify_one();
}

void Dispatcher::on_completed(VertexId id, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  work_.give_outcome(id, std::move(outcome));
  if (nodes_[id].state != State::executing) return;  // execute() has not returned yet
  --executing_;
  enqueue(id);
  wake();
}

void Dispatcher::await_claim(VertexId id) {
  try {
    waiter_.add(id, work_.content_key(id));
  } catch (...) {
    work_.give_outcome(id, current_failure());
    enqueue(id);
  }
}

void Dispatcher::on_claimed(VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error) {
  const std::lock_guard lock(mutex_);
  if (nodes_[id].state != State::awaiting_claim || stopping_.load()) return;
  if (error) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      work_.give_outcome(id, current_failure());
    }
  } else {
    work_.give_claim(id, std::move(claim));
  }
  nodes_[id].state = State::queued;
  ready_.insert(id);
  wake();
}

void Dispatcher::cancel_executor() {
  try {
    services_.executor.cancel();
  } catch (...) {
    const StepFailure failure = current_failure();
    services_.progress.on_event(RunNote{Severity::warning, cat("cannot end running steps: ", failure.error.what())});
  }
}

bool Dispatcher::needs_slot(VertexId id) const {
  const Op& op = services_.graph[id].op;
  return std::holds_alternative<ExecOp>(op) || std::holds_alternative<FileOp>(op);
}

bool Dispatcher::is_cancelled_from_outside() const {
  return services_.options.cancel && services_.options.cancel->cancelled();
}

}  // namespace cbuild::solver
