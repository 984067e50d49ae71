// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild history [ls|inspect|logs|export|rm]`: what was built on this store.
int history_command(Arguments arguments);

}  // namespace cbuild::cli
