// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/build_entry.h"
#include "engine/entered_step.h"
#include "engine/lower_build.h"
#include "engine/result.h"
#include "engine/session.h"
#include "solver/scheduler.h"

namespace cbuild::engine {

/// The place in a build that is entered.
struct EntryPoint {
  /// Picks one of the graph's steps, which are in the order of their ids, by its id; as history keeps them, but without
  /// states. Empty, or nullopt: the result of the target is entered, with the config of its image.
  std::function<std::optional<solver::VertexId>(const std::vector<StepEntry>& steps, const solver::Graph& graph)>
      choose;
  bool before = false;  ///< the step, and not its result
  std::function<void(EnteredStep&)> visit;
  /// Called in the place of visit() with a step that failed on the way; empty: that is the end.
  std::function<void(const StepFailed&, EnteredStep&)> visit_failed;
};

/// Builds what the place needs, taking from the cache what is there, and lets `entry.visit` in. The outputs of the
/// request do not count, nothing goes into the history. A step that fails, and is the one to be entered, is entered
/// with what it has changed. What visit() throws is thrown. Failures before it are in the result.
BuildResult enter_build(const Session& session, const BuildRequest& request, const EntryPoint& entry,
                        ProgressSink& progress, const CancelSource& cancel);

/// Lets the request's StepSettings::on_failure into the step that has failed, if it is one that can be entered.
void enter_failed_step(Services& services, const LoweredBuild& lowered, solver::ops::StoreExecutor& executor,
                       const solver::SolveReport& report);

}  // namespace cbuild::engine
