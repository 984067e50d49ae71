// SPDX-License-Identifier: Apache-2.0
#include "solver/worker_pool.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

#include "base/process/threads.h"
#include "base/tsan.h"

namespace cbuild::solver {

// Work waits in a queue of our own and TBB is only told to take one more: so the hand-over from thread to thread is our
// mutex's, which ThreadSanitizer sees, and not libtbb's, which it does not (see CMakeLists.txt).
struct WorkerPool::Impl {
  ~Impl() { tsan::take(this); }

  void run_next() {
    std::function<void()> task;
    {
      const std::lock_guard lock(mutex);
      task = std::move(tasks.front());
      tasks.pop_front();
    }
    task();
  }

  std::mutex mutex;
  std::deque<std::function<void()>> tasks;  // guarded by mutex
  const int width = tbb::info::default_concurrency();
  // By default TBB has one worker less than cores and counts on the caller to be the last one; ours sleeps.
  tbb::global_control workers{tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(width) + 1};
  tbb::task_arena arena{width, 0};
};

// With a parallelism of one, TBB starts a single worker for enqueued work, and only then.
WorkerPool::WorkerPool() : impl_(std::make_unique<Impl>()) {
  const bool limited = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism) == 1;
  if (limited && !has_room_for_threads(1)) start_thread([] {}).join();
}
WorkerPool::~WorkerPool() = default;

unsigned WorkerPool::width() const { return static_cast<unsigned>(impl_->width); }

void WorkerPool::enqueue(std::function<void()> task) {
  Impl* impl = impl_.get();
  {
    const std::lock_guard lock(impl->mutex);
    impl->tasks.push_back(std::move(task));
  }
  // Isolated: a worker that waits inside one step's parallel loop must not take up another step on top of it.
  tsan::give(impl);
  impl->arena.enqueue([impl] {
    tsan::take(impl);
    tbb::this_task_arena::isolate([impl] { impl->run_next(); });
    tsan::give(impl);
  });
}

}  // namespace cbuild::solver
