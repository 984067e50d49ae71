// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// A call of the plugin, as docker's client or another program writes it.
struct PluginCall {
  /// What docker's own flags mean, as variables of the environment: nullopt is a variable to remove.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  std::string builder;  ///< --builder; empty: not given
  Arguments words;      ///< the command of buildx and its words; empty: none

  bool operator==(const PluginCall&) const = default;
};

/// Takes "[docker's flags] [buildx] [--builder NAME] COMMAND ..." apart. --builder is taken from the words of the
/// command, too, and -D where a command of cbuild does not know it. Throws Error{usage} for a flag without a value and
/// for certificates that the environment cannot name.
PluginCall read_plugin_call(const Arguments& words);

}  // namespace cbuild::cli
