// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// `cbuild login` and `cbuild logout`.
int login_command(Arguments arguments);
int logout_command(Arguments arguments);

}  // namespace cbuild::cli
