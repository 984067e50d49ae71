// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/check.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace cbuild::frontend {
namespace {

constexpr std::size_t kMaxEdits = 2;

/// Levenshtein distance, row by row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

bool may_be_near(std::string_view a, std::string_view b) {
  return std::max(a.size(), b.size()) - std::min(a.size(), b.size()) <= kMaxEdits;
}

}  // namespace

std::string near_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t limit = kMaxEdits + 1;
  for (const std::string& candidate : candidates) {
    if (candidate == word) return {};
    if (!may_be_near(word, candidate)) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= limit) continue;
    limit = distance;
    best = candidate;
  }
  return best;
}

std::string finding_line(const Diagnostic& finding) {
  std::string out = cat(finding.rule, ": ", replace_all(sanitize_for_terminal(finding.message), "\n", "^J"));
  if (!finding.span) return out;
  return cat(out, " (line ", finding.span.source->position(finding.span.begin).line, ")");
}

Checks Checks::none() {
  CheckOptions options;
  options.skip_all = true;
  return Checks(std::move(options));
}

void Checks::set_file_options(CheckOptions options) {
  if (!chosen_) options_ = std::move(options);
}

void Checks::report(Check check, const Instruction& where, std::string message) {
  report(check, where.span, where.comment, std::move(message));
}

void Checks::report(Check check, const Span& span, const std::vector<std::string>& comments, std::string message) {
  const CheckRule& rule = rule_of(check);
  CheckOptions options = options_;
  options.merge_comments(comments);
  if (!options.allows(rule)) return;
  if (!seen_.emplace(check, span.source.get(), span.begin, message).second) return;
  found_.push_back({Severity::warning, span, std::move(message), {}, std::string(rule.name)});
}

std::vector<Diagnostic> Checks::findings() const {
  std::vector<Diagnostic> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return includes_.stands_before(a.span, b.span); });
  return sorted;
}

void Checks::throw_if_errors() const {
  if (!options_.error || found_.empty()) return;
  std::set<std::string> names;
  for (const Diagnostic& finding : found_) names.insert(finding.rule);
  const std::vector<std::string> list(names.begin(), names.end());
  throw DiagnosticError({{Severity::error,
                          {},
                          cat("lint violation found for rules: ", join(list, ", ")),
                          "error=true makes errors of warnings; docs/checks.md tells how to fix or skip each",
                          {}}});
}

}  // namespace cbuild::frontend
