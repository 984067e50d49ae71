// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// Carries out `words` (the program's arguments): the command that the first word names, else a build.
int run_command(Arguments words);

}  // namespace cbuild::cli
