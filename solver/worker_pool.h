// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

namespace cbuild::solver {

/// One TBB worker for each core, for work of the scheduler that computes. Making one starts no thread; the
/// first enqueue() does.
class WorkerPool {
 public:
  WorkerPool();
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// How many tasks can run at once.
  unsigned width() const;
  /// Runs `task` on a worker, soon. Thread-safe. `task` must not throw, and must have ended before the pool
  /// does.
  void enqueue(std::function<void()> task);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::solver
