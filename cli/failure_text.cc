// SPDX-License-Identifier: Apache-2.0
#include "cli/failure_text.h"

#include "base/text.h"
#include "cli/error_text.h"
#include "cli/progress_views.h"
#include "cli/step_log_text.h"

namespace cbuild::cli {
std::string step_failure_text(const solver::Vertex& vertex, const solver::StepFailure& failure,
                              const std::string& store) {
  std::string text = cat("------\n > ", display_name(vertex.name, 0), ":\n");
  if (!failure.log_path.empty()) text += log_tail(failure.log_path);
  text += "------\n";
  for (const Span& span : vertex.spans) {
    const SourceText::Position at = span.source->position(span.begin);
    text += cat(span.source->name(), ":", at.line, "\n--------------------\n", render_excerpt(span),
                "--------------------\n");
  }
  text += error_text(failure.error, store);
  if (!failure.log_path.empty()) text += cat("full log: ", failure.log_path, "\n");
  return text;
}

}  // namespace cbuild::cli
