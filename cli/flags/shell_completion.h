// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/flags/flag_table.h"

namespace cbuild::cli {

enum class Shell { bash, zsh, fish };

std::optional<Shell> parse_shell(std::string_view name);

/// A script that completes the words of a cbuild command line is this text, the parts of all commands, and the end.
/// `commands` are the names of the commands with their summaries.
std::string completion_start(Shell shell, std::span<const Example> commands);

/// The part of one command, its subcommands included.
std::string completion_part(Shell shell, const CommandTable& table);

std::string completion_end(Shell shell);

}  // namespace cbuild::cli
