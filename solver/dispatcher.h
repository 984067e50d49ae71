// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/progress.h"
#include "solver/claim_waiter.h"
#include "solver/plan.h"
#include "solver/scheduler.h"
#include "solver/step_work.h"
#include "solver/worker_pool.h"

namespace cbuild::solver {

/// The state machine of one solve: decides which vertex is worked on when. All state is behind one mutex; the
/// work itself is done outside it, by TBB workers, and completions come from any thread. A vertex that waits
/// is an entry in a table and holds no thread. Of vertices that are ready the one with the lowest id comes
/// first.
class Dispatcher {
 public:
  Dispatcher(const StepWork::Services& services, std::vector<VertexReport>& reports);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Carries out the plan. Sleeps on the calling thread until everything has ended; starts no thread if the
  /// plan holds no work.
  void run();
  /// True if the build was stopped from outside before it was through.
  bool cancelled() const { return cancelled_; }
  /// The failure of the lowest vertex among those that failed by themselves; missing inputs come last.
  std::optional<SolveFailure> failure() const;

 private:
  enum class State : std::uint8_t { idle, queued, working, executing, awaiting_claim, over };
  struct Node {
    State state = State::idle;
    bool has_slot = false;
    std::uint32_t missing_inputs = 0;
    std::vector<VertexId> readers;
  };

  void count_inputs();
  bool show_unworked();
  void begin_ready();
  void work_inline(VertexId id);
  void wait();
  bool has_ended() const;

  void drain();
  std::optional<VertexId> take();
  void wake();
  void enqueue(VertexId id);
  void apply(VertexId id, Next next);
  void await_claim(VertexId id);
  void finish_node(VertexId id);
  void release_slot(Node& node);
  void stop(bool end_running);
  void on_completed(VertexId id, Outcome outcome);
  void on_claimed(VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error);
  void cancel_executor();

  bool needs_slot(VertexId id) const;
  bool is_cancelled_from_outside() const;

  const StepWork::Services services_;
  std::atomic<bool> stopping_{false};
  StepWork work_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<Node> nodes_;
  std::set<VertexId> ready_;           ///< may go on at once
  std::set<VertexId> ready_for_slot_;  ///< may go on when a slot is free
  std::size_t unfinished_ = 0, executing_ = 0;
  unsigned slots_in_use_ = 0, slots_ = 0;
  unsigned drainers_ = 0, busy_drainers_ = 0;
  bool ending_running_ = false, cancel_executor_wanted_ = false, cancelled_ = false;
  std::unique_ptr<WorkerPool> pool_;
  ClaimWaiter waiter_;
};

}  // namespace cbuild::solver
