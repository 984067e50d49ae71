// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/result.h"

namespace cbuild::cli {

/// The lines at the end of a build that failed. Of a step: its log, its lines of the Dockerfile, the
/// error, and where the log lies. `store` is the store's root, for hints.
std::string failure_text(const engine::Failure& failure, const std::string& store);

/// The exit code that docs/cli.md gives to it.
int exit_code_of(const engine::Failure& failure);

}  // namespace cbuild::cli
