// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/store.h"
#include "solver/executor.h"

namespace cbuild::solver::ops {

/// Remembers what a command left at its kept mount `target`, by the result of the command.
void set_command_output(cache::Store& store, const Result& command, const std::string& target, const Result& output);
/// Throws Error{missing_content} where it is gone, and forgets the command's result, so that the command runs again.
Result command_output(cache::Store& store, const Result& command, const std::string& target);

}  // namespace cbuild::solver::ops
