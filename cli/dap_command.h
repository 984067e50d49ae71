// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild dap build`: a build under the control of an editor, by the debug adapter protocol on stdin and stdout. The
/// exit code is the build's.
int dap_command(Arguments arguments);

}  // namespace cbuild::cli
