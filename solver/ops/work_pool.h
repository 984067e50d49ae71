// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cbuild::solver::ops {

/// Threads for work that waits (downloads, lock polls, the end of a step), so that no TBB worker does. Started one by
/// one when there is work and none idle, up to a limit, and fewer where the system has no more; the destructor runs
/// queued work, then joins.
class WorkPool {
 public:
  explicit WorkPool(unsigned max_threads) : max_threads_(max_threads) {}
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// `work` must not throw. Throws Error if not even one thread can be started.
  void post(std::function<void()> work);
  /// Makes sure that there is a thread, so that post() does not throw any more.
  void start_one();

 private:
  void grow();
  void run();

  const unsigned max_threads_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  std::vector<std::jthread> threads_;
  unsigned idle_ = 0;
  bool stopping_ = false;
};

}  // namespace cbuild::solver::ops
