// SPDX-License-Identifier: Apache-2.0
#include "cli/report/failure_text.h"

#include <variant>

#include "base/text.h"
#include "cli/report/error_text.h"
#include "cli/report/exit_codes.h"
#include "cli/report/progress_views.h"
#include "cli/report/step_log_text.h"

namespace cbuild::cli {
namespace {

struct Text {
  const std::string& store;

  std::string operator()(const engine::Diagnosed& wrong) const {
    std::string text;
    for (const Diagnostic& diagnostic : wrong.diagnostics) text += render(diagnostic);
    return text;
  }
  std::string operator()(const engine::StepFailed& failed) const {
    const std::string& log = failed.failure.log_path;
    std::string text = cat("------\n > ", display_name(failed.step, 0), ":\n");
    if (!log.empty()) text += log_tail(log);
    text += "------\n";
    for (const Span& span : failed.spans) {
      const SourceText::Position at = span.source->position(span.begin);
      text += cat(span.source->name(), ":", at.line, "\n--------------------\n", render_excerpt(span),
                  "--------------------\n");
    }
    text += error_text(failed.failure.error, store);
    if (!log.empty()) text += cat("full log: ", log, "\n");
    return text;
  }
  std::string operator()(const engine::Failed& failed) const { return error_text(failed.error, store); }
  std::string operator()(const engine::Cancelled& cancelled) const {
    return cancelled.error ? error_text(*cancelled.error, store) : "cancelled\n";
  }
};

struct Code {
  int operator()(const engine::Diagnosed&) const { return exit_code::kBuildFailed; }
  int operator()(const engine::StepFailed& failed) const { return exit_code_of(failed.failure.error); }
  int operator()(const engine::Failed& failed) const {
    if (failed.part == engine::Failed::Part::output) return exit_code::kExportFailed;
    return failed.part == engine::Failed::Part::base ? exit_code::kBuildFailed : exit_code_of(failed.error);
  }
  int operator()(const engine::Cancelled&) const { return exit_code::kInterrupted; }
};

}  // namespace

std::string failure_text(const engine::Failure& failure, const std::string& store) {
  return std::visit(Text{store}, failure);
}

int exit_code_of(const engine::Failure& failure) { return std::visit(Code{}, failure); }

}  // namespace cbuild::cli
