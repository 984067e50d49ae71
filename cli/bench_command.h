// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild bench`: builds the user's Dockerfile several times cold (every step runs, bases are at hand), as a no-op and
/// after a one-file edit, on a copy of the context, and prints medians with the share of lowering, steps and export.
int bench_command(Arguments arguments);

}  // namespace cbuild::cli
