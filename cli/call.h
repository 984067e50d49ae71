// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/options.h"

namespace cbuild::cli {

/// Answers `line.build.call` on stdout; mistakes of the Dockerfile go to stderr. Nothing is built, and the store is
/// opened only for a base image whose config is needed. Returns the exit code. Throws Error{usage}.
int run_call(const BuildLine& line);

}  // namespace cbuild::cli
