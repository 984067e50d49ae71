// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/session.h"

namespace cbuild::cli {

/// What a finished build tells its caller.
struct BuildOutcome {
  int exit_code = 0;
  unsigned steps_total = 0, steps_cached = 0;
  std::vector<std::string> image_digests;  ///< manifests of the images that were made, in the order of the targets
  double lower_s = 0, solve_s = 0, export_s = 0;  ///< where the time went
};

/// One build from Dockerfile to outputs. Everything the user should see goes to `progress` and, for the summary of a
/// failure, to stderr. Throws nothing; failures become the exit code.
BuildOutcome run_build(const BuildOptions& options, Session& session, ProgressSink& progress, CancelSource& cancel);

/// As the command: with a progress view, signal handling and the digest on stdout for --quiet.
int build_command(Arguments arguments);

}  // namespace cbuild::cli
