// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// cbuild verify: whether an image in a registry is signed by one of some keys. The exit code is 1 if it is not.
int verify_command(Arguments arguments);

}  // namespace cbuild::cli
