// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/flags/flag_table.h"

namespace cbuild::cli {

/// The manual page (section 1, man(7) macros) of a command, its subcommands included. The page of a build is that of
/// the program: it lists the other commands, too.
std::string man_page(const CommandTable& table, const std::vector<Example>& other_commands);

}  // namespace cbuild::cli
