// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild copy` and `cbuild tag`.
int copy_command(Arguments arguments);
int tag_command(Arguments arguments);

}  // namespace cbuild::cli
