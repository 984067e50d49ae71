// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bake/resolve.h"

namespace cbuild::cli {

/// What targets ask for beyond the working directory has to be granted: by --allow, or by the command line itself where
/// --set names it. Throws Error{denied} with the flags that are missing, Error{usage} for an unknown one.
void check_privileges(const bake::Resolved& resolved, const std::vector<std::string>& allow);

}  // namespace cbuild::cli
