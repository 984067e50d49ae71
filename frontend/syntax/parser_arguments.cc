// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "frontend/syntax/parser_build.h"
#include "frontend/text/json_form.h"

namespace cbuild::frontend {
namespace {

enum class Form { json, other, malformed };

Form read_json(const Statement& statement, Range part, Report& report, std::vector<Text>& arguments) {
  try {
    auto strings = parse_json_form(statement.view(part));
    if (!strings) return Form::other;
    for (JsonString& string : *strings) {
      const Range place{part.begin + string.range.begin, part.begin + string.range.end};
      arguments.push_back({std::move(string.value), statement.span(place)});
    }
    return Form::json;
  } catch (const Error& error) {
    report.malformed(statement.span(part), error.message(), "put every element into double quotes");
    return Form::malformed;
  }
}

}  // namespace

std::optional<std::vector<Text>> list_arguments(const Statement& statement, Report& report) {
  std::vector<Text> arguments;
  const Form form = read_json(statement, statement.rest, report, arguments);
  if (form == Form::malformed) return std::nullopt;
  if (form == Form::json) return arguments;
  for (const Range word : split_blanks(statement.view(statement.rest))) {
    arguments.push_back(statement.text(statement.in_rest(word)));
  }
  return arguments;
}

std::optional<CommandLine> command_arguments(const Statement& statement, Range part, Report& report) {
  CommandLine command;
  const Form form = read_json(statement, part, report, command.arguments);
  if (form == Form::malformed) return std::nullopt;
  command.exec_form = form == Form::json;
  if (!command.exec_form) command.arguments.push_back(statement.text(part));
  return command;
}

}  // namespace cbuild::frontend
