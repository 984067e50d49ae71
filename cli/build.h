// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cli/options.h"
#include "engine/session.h"

namespace cbuild::cli {

/// What a finished build tells its caller.
struct BuildOutcome {
  int exit_code = 0;
  std::string failure;  ///< what to tell the user at the end, lines; empty after a success
  unsigned steps_total = 0, steps_cached = 0;
  std::vector<std::string> image_digests;  ///< manifests of the images that were made, in the order of the targets
  std::vector<std::string> image_ids;      ///< of the same images, TargetResult::id
  double lower_s = 0, solve_s = 0, export_s = 0;  ///< where the time went
};

/// One build from Dockerfile to outputs. What the user should see meanwhile goes to `progress`. Failures are no
/// exceptions: they become the exit code.
BuildOutcome run_build(const BuildLine& options, engine::Session& session, ProgressSink& progress,
                       CancelSource& cancel);

}  // namespace cbuild::cli
