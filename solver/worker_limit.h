// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace cbuild::solver {

/// While it lives, TBB starts no workers where a limit on threads is near: libtbb ends the process if a worker that it
/// wants cannot be started. Work for missing workers is then done by the existing threads.
class WorkerLimit {
 public:
  WorkerLimit();
  ~WorkerLimit();
  WorkerLimit(const WorkerLimit&) = delete;
  WorkerLimit& operator=(const WorkerLimit&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::solver
