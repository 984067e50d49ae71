// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild explain [STEP]`: why the steps of a build ran, or were taken from the cache.
int explain_command(Arguments arguments);

}  // namespace cbuild::cli
