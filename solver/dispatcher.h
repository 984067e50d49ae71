// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "solver/claim_waiter.h"
#include "solver/plan.h"
#include "solver/scheduler.h"
#include "solver/step_work.h"
#include "solver/vertex_queue.h"
#include "solver/worker_pool.h"

namespace cbuild::solver {

/// Carries out one solve: hands the vertices that a VertexQueue says can go on to TBB workers. All state is behind one
/// mutex; the work itself is done outside it, and completions come from any thread. A vertex that waits is an entry in
/// a table and holds no thread.
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
  enum class Ending : std::uint8_t { none, due, begun };  ///< of running steps

  void begin();
  void work_inline(VertexId id);
  void wait();
  void drain();
  void wake();
  void apply(VertexId id, Next next);
  void await_claim(VertexId id);
  void stop(bool end_running);
  void on_completed(VertexId id, Outcome outcome);
  void on_claimed(VertexId id, std::unique_ptr<Claim> claim, const std::exception_ptr& error);

  const StepWork::Services services_;
  std::atomic<bool> stopping_{false};
  StepWork work_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  VertexQueue queue_;
  unsigned drainers_ = 0, busy_drainers_ = 0;
  Ending ending_ = Ending::none;
  bool cancelled_ = false;
  std::unique_ptr<WorkerPool> pool_;
  ClaimWaiter waiter_;
};

}  // namespace cbuild::solver
