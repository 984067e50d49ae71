// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild doctor`: what this machine lets steps have. The exit code is 0 if commands can be run.
int doctor_command(Arguments arguments);

}  // namespace cbuild::cli
