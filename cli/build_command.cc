// SPDX-License-Identifier: Apache-2.0
#include "cli/build_command.h"

#include <unistd.h>

#include <iostream>

#include "cli/build.h"
#include "cli/call.h"
#include "cli/exit_codes.h"
#include "cli/interrupts.h"
#include "cli/progress_views.h"

namespace cbuild::cli {

int build_command(Arguments arguments) {
  const auto line = parse_build_line(std::move(arguments));
  if (!line) return exit_code::kSuccess;
  if (line->call) return run_call(*line);
  engine::Session session = engine::start_session(line->root);
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  BuildOutcome outcome;
  {
    const auto progress = make_progress_view(line->progress, STDERR_FILENO);
    outcome = run_build(*line, session, *progress, cancel);
  }
  std::cerr << outcome.failure;
  if (line->progress == ProgressMode::quiet && outcome.exit_code == 0)
    for (const std::string& id : outcome.image_ids) std::cout << id << "\n";
  return outcome.exit_code;
}

}  // namespace cbuild::cli
