// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bake/resolve.h"

namespace cbuild::bake {

/// The JSON of --print, which is itself a bake file, with a newline at the end.
std::string to_json(const Resolved& resolved);

/// The table or JSON of --list=targets; names that begin with "_" are private.
std::string list_targets(const Config& config, bool json);
std::string list_variables(const Config& config, bool json);

}  // namespace cbuild::bake
