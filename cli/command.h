// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::cli {

/// The words behind the name of a command.
using Arguments = std::vector<std::string>;

/// One command of the program. `run` returns the exit code and throws Error for a failure before there was anything to
/// report.
struct Command {
  std::string_view name, summary;
  int (*run)(Arguments arguments);
};

/// All commands, sorted by name but for the default one, which is the first.
std::span<const Command> all_commands();

/// Carries out `words` (the program's arguments): the command that the first word names, else a build.
int run_command(Arguments words);

}  // namespace cbuild::cli
