// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild index create`.
int index_command(Arguments arguments);

}  // namespace cbuild::cli
