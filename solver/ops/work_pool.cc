// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/work_pool.h"

#include "base/process/threads.h"

namespace cbuild::solver::ops {

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  threads_.clear();
}

void WorkPool::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (idle_ <= queue_.size()) grow();
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void WorkPool::start_one() {
  const std::lock_guard lock(mutex_);
  if (threads_.empty()) grow();
}

void WorkPool::grow() {
  if (threads_.empty())
    threads_.push_back(start_thread([this] { run(); }));
  else if (threads_.size() >= max_threads_)
    return;
  else if (auto thread = try_start_thread([this] { run(); }))
    threads_.push_back(std::move(*thread));
}

void WorkPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace cbuild::solver::ops
