// SPDX-License-Identifier: Apache-2.0
#include "solver/claim_waiter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/process/threads.h"

namespace cbuild::solver {

namespace {
constexpr std::chrono::milliseconds kShortest{2}, kLongest{50};
}

ClaimWaiter::~ClaimWaiter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void ClaimWaiter::add(VertexId id, const Digest& key) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = start_thread([this] { run(); });
  entries_.push_back({id, key});
  fresh_ = true;
  changed_.notify_one();
}

void ClaimWaiter::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void ClaimWaiter::run() {
  std::chrono::milliseconds pause = kShortest;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [&] { return stopping_ || !entries_.empty(); });
    if (std::exchange(fresh_, false)) pause = kShortest;
    if (changed_.wait_for(lock, pause, [&] { return stopping_ || fresh_; })) continue;
    const std::vector<Entry> tried = entries_;
    lock.unlock();
    const bool got_one = try_all(tried);
    lock.lock();
    pause = got_one ? kShortest : std::min(pause * 2, kLongest);
  }
}

bool ClaimWaiter::try_all(const std::vector<Entry>& entries) {
  bool got_one = false;
  for (const Entry& entry : entries) got_one |= try_one(entry);
  return got_one;
}

bool ClaimWaiter::try_one(const Entry& entry) {
  std::unique_ptr<Claim> claim;
  std::exception_ptr error;
  try {
    claim = store_.try_claim(entry.key);
  } catch (...) {
    error = std::current_exception();
  }
  if (!claim && !error) return false;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == entry.id; });
    if (at == entries_.end()) return false;
    entries_.erase(at);
  }
  claimed_(entry.id, std::move(claim), error);
  return true;
}

}  // namespace cbuild::solver
