// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild prune`: removes what is not in use, or as much of it as limits ask for.
int prune_command(Arguments arguments);

}  // namespace cbuild::cli
