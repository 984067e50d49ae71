// SPDX-License-Identifier: Apache-2.0
// FROM and ONBUILD: the instructions about other builds.
#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/syntax/parser_build.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<FlagSpec, 1> kFromFlags = {{{"platform", FlagKind::text}}};

bool is_stage_name(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && letter(name.front()) && std::all_of(name.begin(), name.end(), inner);
}

void check_stage_name(const Text& name, Report& report) {
  if (is_stage_name(to_lower(name.value))) return;
  report.error(name.span,
               cat("invalid name for build stage: ", go_quote(name.value),
                   ", name can't start with a number or contain symbols"),
               "a stage name is a letter, then letters, digits, '-', '_' and '.'");
}

/// The trigger as it is stored: everything behind the keyword, with the heredocs as lines below.
std::string trigger_text(const Statement& statement) {
  constexpr std::string_view kBlank = "\t\n\f\r ";
  std::string_view text = statement.line->text;
  const std::size_t keyword = std::min(text.find_first_not_of(kBlank), text.size());
  if (starts_with_i(text.substr(keyword), "ONBUILD")) {
    text.remove_prefix(keyword + 7);
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  }
  std::string out(text);
  for (const Heredoc& heredoc : statement.heredocs) {
    out += cat('\n', heredoc.strip_tabs ? heredoc.raw_body : heredoc.body, heredoc.name.value);
  }
  return out;
}

void check_trigger(const Statement& trigger, Report& report) {
  const std::string keyword = to_upper(trigger.view(trigger.keyword));
  if (keyword == "ONBUILD") {
    return report.error(trigger.span(trigger.keyword), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (keyword == "MAINTAINER" || keyword == "FROM") {
    return report.error(trigger.span(trigger.keyword), cat(keyword, " isn't allowed as an ONBUILD trigger"));
  }
  report.in_trigger([&] {
    const InstructionKind* kind = find_instruction(keyword);
    if (kind == nullptr) return report_unknown_instruction(trigger, report);
    kind->build(trigger, report);
  });
}

}  // namespace

InstructionBody build_from(const Statement& statement, Report& report) {
  FromInstruction from;
  std::vector<Text> words;
  for (const Range word : split_blanks(statement.view(statement.rest))) {
    words.push_back(statement.text(statement.in_rest(word)));
  }
  if (words.size() == 3 && iequals(words[1].value, "as")) {
    check_stage_name(words[2], report);
    from.as_keyword = std::move(words[1]);
    from.name = std::move(words[2]);
  } else if (words.size() != 1) {
    report.error(statement.arguments_span(), "FROM requires either one or three arguments",
                 "write FROM <image> or FROM <image> AS <name>");
  }
  if (!words.empty()) from.image = std::move(words[0]);
  from.platform = FlagSet(statement.flags, kFromFlags, report).text("platform");
  return from;
}

InstructionBody build_onbuild(const Statement& statement, Report& report) {
  if (statement.rest.begin == statement.rest.end) {
    report.error(statement.arguments_span(), "ONBUILD requires at least one argument", "write ONBUILD <instruction>");
    return OnbuildInstruction{};
  }
  reject_flags(statement.flags, report);
  Statement trigger = split_statement(statement.source, *statement.line, statement.rest, statement.escape);
  trigger.heredocs = statement.heredocs;
  check_trigger(trigger, report);
  return OnbuildInstruction{{trigger_text(statement), statement.span(statement.rest)}};
}

}  // namespace cbuild::frontend
