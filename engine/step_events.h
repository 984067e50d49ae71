// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/progress.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// Passes on the events of a solve, but for those of local directories: they are read in place, there is nothing to
/// wait for. Where the same graph is solved again, only steps that run are shown: the others were shown the first time.
class StepEvents final : public ProgressSink {
 public:
  /// Both must outlive it.
  StepEvents(ProgressSink& next, const solver::Graph& graph, bool again);
  void on_event(const ProgressEvent& event) override;

 private:
  ProgressSink& next_;
  const solver::Graph& graph_;
  const bool again_;
};

}  // namespace cbuild::engine
