// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild images`: the names kept in the store with manifest digest and age.
int images_command(Arguments arguments);

}  // namespace cbuild::cli
