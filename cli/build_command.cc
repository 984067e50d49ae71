// SPDX-License-Identifier: Apache-2.0
#include "cli/build_command.h"

#include <unistd.h>

#include <iostream>

#include "base/process/interrupts.h"
#include "cli/call.h"
#include "cli/entered.h"
#include "cli/report/exit_codes.h"
#include "cli/report/failure_text.h"
#include "cli/report/progress_views.h"
#include "cli/result_files.h"
#include "cli/sync_command.h"
#include "cli/telemetry.h"
#include "engine/builder.h"
#include "engine/session.h"

namespace cbuild::cli {

int build_command(Arguments arguments) {
  auto line = parse_build_line(std::move(arguments));
  if (!line) return exit_code::kSuccess;
  if (line->call) return run_call(*line);
  line->request.outputs.on_written = result_writer(*line);
  const engine::Session session = engine::start_session(line->root);
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  empty_id_files(*line);
  engine::BuildResult result;
  bool told = false;  // of the failure
  {
    ClosableView view(make_progress_view(line->progress, STDERR_FILENO));
    for (const std::string& note : line->notes) view.on_event(RunNote{Severity::note, note});
    line->request.steps.on_failure = on_failure(line->on_error, session.root, view, told);
    result = engine::Builder(session).build(line->request, view, cancel);
  }
  if (result.sync_later) begin_sync(session.root);
  send_trace(session, result.id);
  const bool reported = write_report(*line, session, result.id);
  if (result.failure) {
    remove_empty_id_files(*line);
    if (!told) std::cerr << failure_text(*result.failure, session.root);
    return exit_code_of(*result.failure);
  }
  if (!reported) return exit_code::kExportFailed;
  if (line->progress == ProgressMode::quiet)
    for (const engine::TargetImage& image : result.images) std::cout << image.id.str() << "\n";
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
