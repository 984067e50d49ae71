// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/progress.h"
#include "solver/executor.h"
#include "solver/scheduler.h"

namespace cbuild::solver {

/// Tells of the vertices of a solve: each in one report and at most two events, started and finished. Different
/// vertices may be told of by different threads at once.
class StepReports {
 public:
  /// `reports` by VertexId.
  StepReports(std::vector<VertexReport>& reports, ProgressSink& progress)
      : reports_(reports), progress_(progress), announced_(reports.size()) {}

  VertexReport& operator[](VertexId id) { return reports_[id]; }
  const VertexReport& operator[](VertexId id) const { return reports_[id]; }

  /// Once for each vertex; further calls do nothing. `note` may be empty.
  void announce(VertexId id, const std::string& note);
  void conclude(VertexId id, const Digest& key, VertexState state, TaskState shown, const std::string& error = {});
  /// A vertex that failed; announced first if it was not.
  void fail(VertexId id, const Digest& key, const StepFailure& failure);
  /// A vertex that will not be worked on any more.
  void abandon(VertexId id, const Digest& key);
  void warn(std::string message) { progress_.on_event(RunNote{Severity::warning, std::move(message)}); }

 private:
  std::vector<VertexReport>& reports_;
  ProgressSink& progress_;
  std::vector<std::uint8_t> announced_;  ///< not bits: each is written by the thread of its vertex
};

}  // namespace cbuild::solver
