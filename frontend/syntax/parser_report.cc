// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/parser_report.h"

namespace cbuild::frontend {

void Report::error(Span span, std::string message, std::string hint) {
  if (!in_trigger_) return malformed(std::move(span), std::move(message), std::move(hint));
  warnings_.push_back(
      {Severity::warning, std::move(span), "builds on top of this image will fail: " + message, std::move(hint), {}});
}

void Report::malformed(Span span, std::string message, std::string hint) {
  if (errors_.size() == kMaxErrors) return;
  errors_.push_back({Severity::error, std::move(span), std::move(message), std::move(hint), {}});
}

void Report::throw_errors(const IncludeMap& includes) {
  if (!errors_.empty()) throw DiagnosticError(includes.with_chains(errors_));
}

}  // namespace cbuild::frontend
