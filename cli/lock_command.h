// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild lock`: writes, updates or checks the lock file of a Dockerfile.
int lock_command(Arguments arguments);

}  // namespace cbuild::cli
