// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild bake`: builds the targets of bake files, or prints what they are.
int bake_command(Arguments arguments);

}  // namespace cbuild::cli
