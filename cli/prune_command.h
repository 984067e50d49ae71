// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild prune`: removes items that are not in use, or as many of them as limits ask for.
int prune_command(Arguments arguments);

}  // namespace cbuild::cli
