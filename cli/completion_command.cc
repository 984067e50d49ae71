// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_command.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/exit_codes.h"
#include "cli/flags.h"
#include "cli/help_as.h"

namespace cbuild::cli {

int completion_command(Arguments arguments) {
  std::string root, shell;
  CLI::App app{"Print a completion script for a shell", "cbuild completion"};
  app.add_option("SHELL", shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  print_completion(std::cout, *parse_shell(shell));
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
