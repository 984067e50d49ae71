// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild run`: a command in an image, a stage or a step's result. The exit code is the command's.
int run_image_command(Arguments arguments);

/// `cbuild debug`: a shell or a command where a step of a build runs, before or after it. The exit code is the
/// command's.
int debug_command(Arguments arguments);

}  // namespace cbuild::cli
