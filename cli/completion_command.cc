// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/flags/command_names.h"
#include "cli/flags/flags.h"
#include "cli/flags/help_as.h"
#include "cli/flags/shell_completion.h"
#include "cli/report/exit_codes.h"

namespace cbuild::cli {
namespace {

/// The part of each command is printed by the command itself, which alone declares its flags.
void print_completion(std::ostream& out, const std::string& name) {
  const Shell shell = *parse_shell(name);
  std::vector<Example> commands;
  for (const CommandName& command : kCommandNames) commands.push_back({command.name, command.summary});
  out << completion_start(shell, commands) << std::flush;
  for (const CommandName& command : kCommandNames) (void)run_command({std::string(command.name), cat(kHelpAs, name)});
  out << completion_end(shell);
}

}  // namespace

int completion_command(Arguments arguments) {
  std::string root, shell;
  CLI::App app{"Print a completion script for a shell", "cbuild completion"};
  app.add_option("SHELL", shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  print_completion(std::cout, shell);
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
