// SPDX-License-Identifier: Apache-2.0
#include "cli/failure_text.h"

#include <fcntl.h>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/error_text.h"
#include "cli/progress_views.h"

namespace cbuild::cli {
namespace {

std::string log_text(const std::string& path) {
  constexpr std::size_t kMaxLog = 1u << 30;
  const auto log = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  std::string text = log ? sanitize_for_terminal(sys::read_all(log->get(), kMaxLog)) : std::string();
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

}  // namespace

std::string step_failure_text(const solver::Vertex& vertex, const solver::StepFailure& failure,
                              const std::string& store) {
  std::string text = cat("------\n > ", display_name(vertex.name, 0), ":\n");
  if (!failure.log_path.empty()) text += log_text(failure.log_path);
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
