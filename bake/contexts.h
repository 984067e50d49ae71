// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bake/resolve.h"

namespace cbuild::bake {

/// Cleans the paths of contexts, which are relative to the working directory; "cwd://" is that itself. Throws
/// Error{usage} for a context or Dockerfile on standard input.
void settle_contexts(Resolved& resolved);

/// Whether the first argument of bake is a repository or address of bake files instead of a target.
bool is_remote_definition(const std::string& argument);

}  // namespace cbuild::bake
