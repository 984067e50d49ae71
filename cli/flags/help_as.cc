// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/help_as.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/command_names.h"
#include "cli/flags/man_page.h"
#include "cli/flags/shell_completion.h"

namespace cbuild::cli {
namespace {

std::vector<Example> other_commands() {
  std::vector<Example> out;
  for (const CommandName& command : kCommandNames)
    if (command.name != "build") out.push_back({command.name, command.summary});
  return out;
}

}  // namespace

bool print_help_as(std::ostream& out, const CLI::App& app, const Arguments& arguments) {
  if (arguments.size() != 1 || !arguments.front().starts_with(kHelpAs)) return false;
  const std::string form = arguments.front().substr(kHelpAs.size());
  const CommandTable table = table_of(app);
  if (form == "man") {
    out << man_page(table, table.words() == "build" ? other_commands() : std::vector<Example>{});
    return true;
  }
  const auto shell = parse_shell(form);
  if (!shell) throw Error(ErrorCode::usage, cat("invalid form '", form, "'")).with_hint("man, bash, zsh or fish");
  out << completion_part(*shell, table);
  return true;
}

}  // namespace cbuild::cli
