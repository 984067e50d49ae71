// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild history [ls|inspect|logs|export|rm]`: the builds of this store.
int history_command(Arguments arguments);

}  // namespace cbuild::cli
