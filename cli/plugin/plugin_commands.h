// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// An exit code where all is done, or the words of the command of cbuild that does it.
using PluginResult = std::variant<int, Arguments>;

/// Carries out a command of buildx and its words, or says which command of cbuild does. Prints help and docker's
/// description of the plugin, too. Throws Error{usage} for commands that do not exist, Error{unsupported} for what
/// there is no builder for.
PluginResult run_buildx(const Arguments& words);

/// Chooses the engine of a builder (--builder, BUILDX_BUILDER) as buildx does: the one of docker's context of that
/// name. Other names are builders of this machine.
void choose_builder(const std::string& name);

}  // namespace cbuild::cli
