// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild [build]`: one build with a progress view and signal handling; the digests go to stdout for --quiet.
int build_command(Arguments arguments);

}  // namespace cbuild::cli
