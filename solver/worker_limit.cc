// SPDX-License-Identifier: Apache-2.0
#include "solver/worker_limit.h"

#include <oneapi/tbb/global_control.h>

#include <thread>

#include "base/process/threads.h"

namespace cbuild::solver {

namespace {
/// Apart from TBB's workers: those of running steps, downloads and the packer, and the processes of a step.
constexpr unsigned kOthers = 16;
}  // namespace

struct WorkerLimit::Impl {
  tbb::global_control no_workers{tbb::global_control::max_allowed_parallelism, 1};
};

WorkerLimit::WorkerLimit() {
  if (!has_room_for_threads(std::thread::hardware_concurrency() + kOthers)) impl_ = std::make_unique<Impl>();
}

WorkerLimit::~WorkerLimit() = default;

}  // namespace cbuild::solver
