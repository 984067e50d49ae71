// SPDX-License-Identifier: Apache-2.0
#include "cli/help_as.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/error.h"
#include "base/text.h"
#include "cli/man_page.h"

namespace cbuild::cli {
namespace {

std::string_view name_of(Shell shell) {
  switch (shell) {
    case Shell::bash:
      return "bash";
    case Shell::zsh:
      return "zsh";
    case Shell::fish:
      return "fish";
  }
  return "bash";
}

std::vector<Example> command_summaries(bool with_build) {
  std::vector<Example> out;
  for (const Command& command : all_commands())
    if (with_build || command.name != "build") out.push_back({command.name, command.summary});
  return out;
}

}  // namespace

bool print_help_as(std::ostream& out, const CLI::App& app, const Arguments& arguments) {
  if (arguments.size() != 1 || !arguments.front().starts_with(kHelpAs)) return false;
  const std::string form = arguments.front().substr(kHelpAs.size());
  const CommandTable table = table_of(app);
  if (form == "man") {
    out << man_page(table, table.words() == "build" ? command_summaries(false) : std::vector<Example>{});
    return true;
  }
  const auto shell = parse_shell(form);
  if (!shell) throw Error(ErrorCode::usage, cat("invalid form '", form, "'")).with_hint("man, bash, zsh or fish");
  out << completion_part(*shell, table);
  return true;
}

void print_completion(std::ostream& out, Shell shell) {
  const std::vector<Example> commands = command_summaries(true);
  out << completion_start(shell, commands) << std::flush;
  for (const Command& command : all_commands()) (void)command.run({cat(kHelpAs, name_of(shell))});
  out << completion_end(shell);
}

}  // namespace cbuild::cli
