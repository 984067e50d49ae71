// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild graph`: the steps of a build as DOT, Mermaid or JSON.
int graph_command(Arguments arguments);

}  // namespace cbuild::cli
