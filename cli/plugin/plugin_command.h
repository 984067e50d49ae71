// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild plugin install|remove`: the link by which docker's client finds the program.
int plugin_command(Arguments arguments);

}  // namespace cbuild::cli
