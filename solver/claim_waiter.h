// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"

namespace cbuild::solver {

/// Waits for claims that other processes hold: one thread for all of them, started by the first add(), that
/// tries each again every 2 to 50 ms. A lock that dies with its holder cannot be waited for together with
/// others in any better way.
class ClaimWaiter {
 public:
  /// Gets the claim, or the exception of try_claim. Called on the waiter's thread.
  using Claimed = std::function<void(VertexId, std::unique_ptr<Claim>, std::exception_ptr)>;

  ClaimWaiter(ResultStore& store, Claimed claimed) : store_(store), claimed_(std::move(claimed)) {}
  /// Ends the thread; claims that were still waited for are forgotten.
  ~ClaimWaiter();
  ClaimWaiter(const ClaimWaiter&) = delete;
  ClaimWaiter& operator=(const ClaimWaiter&) = delete;

  /// Throws Error if the thread cannot be started.
  void add(VertexId id, const Digest& key);
  /// Forgets all. A call of `claimed` may still be under way.
  void clear();

 private:
  struct Entry {
    VertexId id;
    Digest key;
  };

  void run();
  bool try_all(const std::vector<Entry>& entries);
  bool try_one(const Entry& entry);

  ResultStore& store_;
  const Claimed claimed_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<Entry> entries_;
  bool fresh_ = false, stopping_ = false;
  std::jthread thread_;
};

}  // namespace cbuild::solver
