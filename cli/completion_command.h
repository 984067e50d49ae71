// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild completion SHELL`: prints a completion script for that shell.
int completion_command(Arguments arguments);

}  // namespace cbuild::cli
