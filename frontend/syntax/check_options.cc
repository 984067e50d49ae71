// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "frontend/syntax/check.h"
#include "frontend/text/grammar.h"

namespace cbuild::frontend {
namespace {

[[noreturn]] void fail(std::string message, std::string hint) {
  throw Error(ErrorCode::input, std::move(message)).with_hint(std::move(hint));
}

/// The words Go's strconv.ParseBool knows.
bool parse_error_option(std::string_view option, const std::string& value) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (value == yes) return true;
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (value == no) return false;
  }
  fail(cat("failed to parse check option ", go_quote(option), ": strconv.ParseBool: parsing ", go_quote(value),
           ": invalid syntax"),
       "write error=true or error=false");
}

void parse_names(const std::string& value, bool& all, std::set<std::string, std::less<>>& names) {
  if (value == "all") {
    all = true;
    return;
  }
  names.clear();
  for (const std::string& name : split(value, ',')) names.emplace(trim(name));
}

void parse_option(const std::string& option, CheckOptions& out) {
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos) {
    fail(cat("invalid check option ", go_quote(option)), "write skip=RULE,..., experimental=RULE,... or error=true");
  }
  const std::string key(trim(std::string_view(option).substr(0, equals)));
  const std::string value(trim(std::string_view(option).substr(equals + 1)));
  if (key == "skip") {
    parse_names(value, out.skip_all, out.skip);
  } else if (key == "experimental") {
    parse_names(value, out.experimental_all, out.experimental);
  } else if (key == "error") {
    out.error = parse_error_option(option, value);
  } else {
    const std::vector<std::string> keys = {"skip", "experimental", "error"};
    const std::optional<std::string> near = suggest(key, keys);
    fail(cat("invalid check option ", go_quote(key)),
         near ? cat("did you mean ", *near, "?") : "the options are skip, experimental and error");
  }
}

/// The options in one comment line; nullopt if it is about something else.
std::optional<CheckOptions> options_in_comment(std::string_view comment) {
  const auto parts = parse_directive(comment);
  if (!parts || to_lower(parts->name.of(comment)) != "check") return std::nullopt;
  const std::string_view value = parts->value.of(comment);
  try {
    return parse_check_options(value.substr(0, value.find(' ')));
  } catch (const Error&) {
    return std::nullopt;
  }
}

void note_unknown(const std::set<std::string, std::less<>>& names, const Span& span, std::vector<Diagnostic>& out) {
  std::vector<std::string> known;
  for (const CheckRule& rule : check_rules()) known.emplace_back(rule.name);
  for (const std::string& name : names) {
    if (find_rule(name) != nullptr) continue;
    const std::optional<std::string> near = suggest(name, known);
    out.push_back({Severity::note,
                   span,
                   cat("there is no build check ", go_quote(name)),
                   near ? cat("did you mean ", *near, "?") : "docs/checks.md lists the rules",
                   {}});
  }
}

}  // namespace

CheckOptions parse_check_options(std::string_view text) {
  CheckOptions out;
  text = trim(text);
  if (text.empty()) return out;
  for (const std::string& option : split(text, ';')) parse_option(option, out);
  return out;
}

bool CheckOptions::allows(const CheckRule& rule) const {
  if (rule.experimental) return experimental_all || experimental.contains(rule.name);
  return !skip_all && !skip.contains(rule.name);
}

void CheckOptions::merge_comments(const std::vector<std::string>& comments) {
  for (const std::string& comment : comments) {
    auto more = options_in_comment(comment);
    if (!more) continue;
    skip_all |= more->skip_all;
    experimental_all |= more->experimental_all;
    skip.merge(more->skip);
    experimental.merge(more->experimental);
  }
}

std::vector<Diagnostic> unknown_rule_notes(const CheckOptions& options, const Span& span) {
  std::vector<Diagnostic> out;
  note_unknown(options.skip, span, out);
  note_unknown(options.experimental, span, out);
  return out;
}

}  // namespace cbuild::frontend
