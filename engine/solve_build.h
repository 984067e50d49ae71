// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "cache/build_history.h"
#include "cache/packer.h"
#include "engine/build_cache.h"
#include "engine/early_pushes.h"
#include "engine/lower_build.h"
#include "engine/result.h"
#include "engine/services.h"
#include "engine/step_runner.h"
#include "solver/ops/executor.h"
#include "solver/scheduler.h"

namespace cbuild::engine {

/// The input of solve_build() in addition to the services.
struct SolveParts {
  const LoweredBuild& lowered;
  BuildCache& caches;
  StepRunner& runner;
  cache::BuildLogs& logs;
  cache::Packer& packer;  ///< starts on the layers of images while later steps run
  EarlyPushes& early;
  bool repeated = false;                      ///< the same graph was solved before in this build
  std::vector<solver::VertexId> wanted = {};  ///< in the place of the results of all targets
  /// Called before the executor ends; the changes of commands that failed are kept for it. Empty: nobody asks.
  std::function<void(solver::ops::StoreExecutor&, const solver::SolveReport&)> on_solved = {};
};

struct SolvedBuild {
  solver::SolveReport report;
  std::vector<Digest> keys;                      ///< definition keys by vertex, when steps are to be exported
  std::map<solver::VertexId, ResourceUse> uses;  ///< of the commands that ran
};

/// Finds or makes the results of all targets. A failed step is in the report; throws Error when the store fails.
SolvedBuild solve_build(Services& services, const SolveParts& parts);

/// Steps of the targets that were found, and all of them, without directories that are read in place.
void count_steps(const LoweredBuild& lowered, const SolvedBuild& solved, BuildResult& result);

/// How the solve failed; unset after a success.
std::optional<Failure> failure_of(const solver::SolveReport& report, const LoweredBuild& lowered, bool cancelled);

}  // namespace cbuild::engine
