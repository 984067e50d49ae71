// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/check_report.h"

#include <nlohmann/json.hpp>

#include "base/suggestion.h"
#include "base/text.h"
#include "frontend/syntax/check.h"
#include "frontend/syntax/report_json.h"

namespace cbuild::frontend {
namespace {

using Json = nlohmann::ordered_json;

std::string headline(const CheckResult& result) {
  const std::size_t count = result.warnings.size();
  if (count == 1) return "Check complete, 1 warning has been found!\n";
  if (count > 1) return cat("Check complete, ", count, " warnings have been found!\n");
  return result.errors.empty() ? "Check complete, no warnings found.\n" : "";
}

std::string warning_text(const Diagnostic& warning) {
  const CheckRule* rule = find_rule(warning.rule);
  const std::string url = rule == nullptr ? "" : rule->url();
  std::string out = cat("\nWARNING: ", warning.rule, url.empty() ? "" : " - ", url, "\n",
                        sanitize_for_terminal(warning.message), "\n");
  const Span& span = warning.span;
  if (!span) return out;
  constexpr std::string_view kRule = "--------------------\n";
  return cat(out, sanitize_for_terminal(span.source->name()), ":", span.source->position(span.begin).line, "\n", kRule,
             render_excerpt(span), kRule);
}

Json warning_json(const Diagnostic& warning, const CheckResult& result) {
  Json out;
  out["ruleName"] = warning.rule;
  if (const CheckRule* rule = find_rule(warning.rule)) {
    out["description"] = rule->description;
    if (const std::string url = rule->url(); !url.empty()) out["url"] = url;
  }
  out["detail"] = warning.message;
  out["location"] = location_json(warning.span, result.sources);
  return out;
}

std::string error_message(const Diagnostic& error, const CheckResult& result) {
  const std::string message = with_suggestion(error.message, error.hint);
  if (!result.parse_failed || !error.span) return message;
  return cat("dockerfile parse error on line ", error.span.source->position(error.span.begin).line, ": ", message);
}

}  // namespace

std::string check_text(const CheckResult& result) {
  std::string out = headline(result);
  for (const Diagnostic& warning : result.warnings) out += warning_text(warning);
  return out;
}

std::string check_json(const CheckResult& result) {
  Json out;
  out["warnings"] = nullptr;  // as Go writes an empty list
  for (const Diagnostic& warning : result.warnings) out["warnings"].push_back(warning_json(warning, result));
  out["sources"] = Json::array();
  for (const auto& source : result.sources) {
    out["sources"].push_back(
        {{"filename", source->name()}, {"data", base64_encode(source->text())}, {"language", "Dockerfile"}});
  }
  if (!result.errors.empty()) {
    const Diagnostic& first = result.errors.front();
    out["buildError"] = {{"message", error_message(first, result)},
                         {"location", location_json(first.span, result.sources)}};
  }
  return dump_json(out);
}

}  // namespace cbuild::frontend
