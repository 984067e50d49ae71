// SPDX-License-Identifier: Apache-2.0
#include "solver/step_reports.h"

#include <utility>

#include "base/sys.h"

namespace cbuild::solver {

void StepReports::announce(VertexId id, const std::string& note) {
  if (std::exchange(announced_[id], 1) != 0) return;
  reports_[id].started_ns = sys::monotonic_ns();
  progress_.on_event(TaskStarted{id, reports_[id].started_ns, note});
}

void StepReports::conclude(VertexId id, const Digest& key, VertexState state, TaskState shown,
                           const std::string& error) {
  VertexReport& report = reports_[id];
  report.state = state;
  report.finished_ns = sys::monotonic_ns();
  report.key = key;
  progress_.on_event(TaskFinished{id, report.finished_ns, shown, error});
}

void StepReports::fail(VertexId id, const Digest& key, const StepFailure& failure) {
  announce(id, {});
  conclude(id, key, VertexState::failed, TaskState::failed, failure.error.what());
}

void StepReports::abandon(VertexId id, const Digest& key) {
  if (announced_[id] != 0) {
    conclude(id, key, VertexState::cancelled, TaskState::cancelled);
  } else {
    reports_[id].state = VertexState::cancelled;
  }
}

}  // namespace cbuild::solver
