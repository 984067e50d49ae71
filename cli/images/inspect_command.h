// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild inspect`.
int inspect_command(Arguments arguments);

}  // namespace cbuild::cli
