// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sandbox/spec.h"

namespace CLI {
class App;
}

namespace cbuild::cli {

/// Flags that docker's builders had or hide: the limits of single resources, which mean the same as --resource, and
/// those that ask for nothing here, which are taken and noted.
struct LegacyFlags {
  Resources resources;                         ///< --memory, --memory-swap, --cpu-*, --cpuset-*
  std::map<std::string, std::string> ignored;  ///< by name, why they have no effect

  /// Adds the flags, out of the help text's sight. Must outlive the parse.
  void add_to(CLI::App& app);
  /// A line for each that was given and has no effect.
  std::vector<std::string> notes() const;
};

}  // namespace cbuild::cli
