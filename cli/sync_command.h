// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild sync`: makes what builds recorded in a store survive a power loss.
int sync_command(Arguments arguments);

/// Starts `cbuild sync` for a store as a process of its own, which outlives this one and ends when it is done. Without
/// one, because none can be started here, a later build syncs the store.
void begin_sync(const std::string& root) noexcept;

}  // namespace cbuild::cli
