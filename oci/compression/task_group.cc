// SPDX-License-Identifier: Apache-2.0
// Runners are enqueued into the arena, no more at a time than it has threads; each takes items until the queue is
// empty. A runner that comes late finds the queue empty and leaves, which is why it shares the state instead of
// pointing at the group.
#include "oci/compression/task_group.h"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>

#include "base/tsan.h"

namespace cbuild::oci::layer {
namespace {

/// With a parallelism of one nobody but the caller shall work: a thread for it could not be started.
bool may_use_workers() { return tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism) > 1; }

}  // namespace

struct TaskGroup::State {
  ~State() { tsan::take(this); }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Item> queue;
  std::exception_ptr error;
  unsigned runners = 0, running = 0, max_runners = 0;
  bool stopped = false;

  void run_front(std::unique_lock<std::mutex>& lock);
  void run_all();
};

void TaskGroup::State::run_front(std::unique_lock<std::mutex>& lock) {
  Item item = std::move(queue.front());
  queue.pop_front();
  ++running;
  lock.unlock();
  std::exception_ptr failure;
  try {
    item();
  } catch (...) {
    failure = std::current_exception();
  }
  item = nullptr;
  lock.lock();
  --running;
  if (failure && !error) error = failure;
  if (failure) stopped = true;
  if (stopped) queue.clear();
  changed.notify_all();
}

void TaskGroup::State::run_all() {
  std::unique_lock lock(mutex);
  while (!queue.empty()) run_front(lock);
  --runners;
}

TaskGroup::TaskGroup() : state_(std::make_shared<State>()) {}
TaskGroup::~TaskGroup() { stop(); }

void TaskGroup::stop() noexcept {
  std::unique_lock lock(state_->mutex);
  state_->stopped = true;
  state_->queue.clear();
  state_->changed.wait(lock, [this] { return state_->running == 0; });
  tsan::give(state_.get());
}

void TaskGroup::post(Item item) {
  {
    const std::scoped_lock lock(state_->mutex);
    if (state_->stopped) return;
    if (state_->max_runners == 0) state_->max_runners = width();
    state_->queue.push_back(std::move(item));
    state_->changed.notify_one();
    if (state_->runners >= state_->max_runners || !may_use_workers()) return;
    ++state_->runners;
  }
  tsan::give(state_.get());
  tbb::this_task_arena::enqueue([state = state_] {
    tsan::take(state.get());
    state->run_all();
    tsan::give(state.get());
  });
}

void TaskGroup::help_until(const std::function<bool()>& done) {
  std::unique_lock lock(state_->mutex);
  for (;;) {
    if (state_->error) std::rethrow_exception(state_->error);
    if (done()) return;
    if (!state_->queue.empty()) {
      state_->run_front(lock);
    } else {
      state_->changed.wait(lock);
    }
  }
}

unsigned TaskGroup::width() { return static_cast<unsigned>(tbb::this_task_arena::max_concurrency()); }

}  // namespace cbuild::oci::layer
