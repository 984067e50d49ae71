// SPDX-License-Identifier: Apache-2.0
// ENV, LABEL, ARG, EXPOSE and those that take the rest of the line.
#include <string>

#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/syntax/parser_build.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

/// A word of the quoting grammar, which knows no invalid UTF-8.
Text word_text(const Statement& statement, Range part) {
  Text text = statement.text(part);
  if (!utf8::valid(text.value)) text.value = utf8::sanitize(text.value);
  return text;
}

void report_missing(const Statement& statement, std::string_view keyword, std::string_view usage, Report& report) {
  report.error(statement.arguments_span(), cat(keyword, " requires at least one argument"), cat("write ", usage));
}

/// `KEY rest`: one pair, the value is whatever follows.
std::vector<KeyValue> build_legacy_pair(const Statement& statement, std::string_view keyword, Report& report) {
  constexpr std::string_view kBlank = "\t\v\f\r ";
  const std::string_view rest = statement.view(statement.rest);
  const std::size_t end = rest.find_first_of(kBlank);
  if (end == std::string_view::npos) {
    report.malformed(statement.arguments_span(), cat(keyword, " must have two arguments"),
                     cat("write ", keyword, " <name>=<value>"));
    return {};
  }
  const std::size_t value = rest.find_first_not_of(kBlank, end);
  return {{statement.text(statement.in_rest({0, end})), statement.text(statement.in_rest({value, rest.size()}))}};
}

std::vector<KeyValue> build_pairs(const Statement& statement, const std::vector<Range>& words, std::string_view keyword,
                                  Report& report) {
  std::vector<KeyValue> pairs;
  for (const Range word : words) {
    const Range place = statement.in_rest(word);
    const std::size_t equals = statement.view(place).find('=');
    if (equals == std::string_view::npos) {
      const Text text = word_text(statement, place);
      report.malformed(
          text.span, cat("Syntax error - can't find = in ", go_quote(text.value), ". Must be of the form: name=value"));
      continue;
    }
    if (equals == 0) report.error(statement.span(place), cat(keyword, " names can not be blank"));
    const std::size_t sign = place.begin + equals;
    pairs.push_back({word_text(statement, {place.begin, sign}), word_text(statement, {sign + 1, place.end})});
  }
  return pairs;
}

struct Pairs {
  std::vector<KeyValue> pairs;
  bool legacy = false;
};

Pairs build_key_values(const Statement& statement, std::string_view keyword, Report& report) {
  reject_flags(statement.flags, report);
  const auto words = split_quoted(statement.view(statement.rest), statement.escape);
  if (words.empty()) {
    report_missing(statement, keyword, cat(keyword, " <name>=<value>..."), report);
    return {};
  }
  const std::string_view first = statement.view(statement.in_rest(words.front()));
  if (first.find('=') == std::string_view::npos) return {build_legacy_pair(statement, keyword, report), true};
  return {build_pairs(statement, words, keyword, report), false};
}

/// The text of a comment line "<name> text".
std::string find_description(const std::vector<std::string>& comment, const std::string& name) {
  for (const std::string& line : comment) {
    if (!name.empty() && line.starts_with(name + ' ')) return line.substr(name.size() + 1);
  }
  return {};
}

Text rest_of_line(const Statement& statement, std::string_view keyword, Report& report) {
  if (statement.rest.begin == statement.rest.end) {
    report.error(statement.arguments_span(), cat(keyword, " requires exactly one argument"));
  }
  return statement.text(statement.rest);
}

}  // namespace

InstructionBody build_env(const Statement& statement, Report& report) {
  Pairs result = build_key_values(statement, "ENV", report);
  return EnvInstruction{std::move(result.pairs), result.legacy};
}

InstructionBody build_label(const Statement& statement, Report& report) {
  Pairs result = build_key_values(statement, "LABEL", report);
  return LabelInstruction{std::move(result.pairs), result.legacy};
}

InstructionBody build_arg(const Statement& statement, Report& report) {
  // Flags of ARG are ignored, as in BuildKit.
  ArgInstruction arg;
  for (const Range word : split_quoted(statement.view(statement.rest), statement.escape)) {
    const Range place = statement.in_rest(word);
    const std::size_t equals = statement.view(place).find('=');
    ArgInstruction::Item item;
    if (equals == std::string_view::npos) {
      item.name = word_text(statement, place);
    } else {
      const std::size_t sign = place.begin + equals;
      item.name = word_text(statement, {place.begin, sign});
      item.default_value = word_text(statement, {sign + 1, place.end});
      if (equals == 0) report.error(statement.span(place), "ARG names can not be blank");
    }
    item.description = find_description(statement.line->comment, item.name.value);
    arg.items.push_back(std::move(item));
  }
  if (arg.items.empty()) report_missing(statement, "ARG", "ARG <name>[=<default>]...", report);
  return arg;
}

InstructionBody build_expose(const Statement& statement, Report& report) {
  ExposeInstruction expose;
  reject_flags(statement.flags, report);
  for (const Range word : split_blanks(statement.view(statement.rest))) {
    expose.ports.push_back(statement.text(statement.in_rest(word)));
  }
  if (expose.ports.empty()) report_missing(statement, "EXPOSE", "EXPOSE <port>[/<protocol>]...", report);
  return expose;
}

InstructionBody build_user(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  return UserInstruction{rest_of_line(statement, "USER", report)};
}

InstructionBody build_workdir(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  return WorkdirInstruction{rest_of_line(statement, "WORKDIR", report)};
}

InstructionBody build_stopsignal(const Statement& statement, Report& report) {
  // Flags of STOPSIGNAL are ignored, as in BuildKit.
  return StopsignalInstruction{rest_of_line(statement, "STOPSIGNAL", report)};
}

InstructionBody build_maintainer(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  return MaintainerInstruction{rest_of_line(statement, "MAINTAINER", report)};
}

}  // namespace cbuild::frontend
