// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bake/config.h"

namespace cbuild::bake {

struct Override {
  std::string value;
  Strings values;  ///< of attributes that are lists
  bool append = false;
};

/// Of each target: attribute, or "args.NAME", to its override.
using Overrides = std::map<std::string, std::map<std::string, Override>>;

/// Paths and privileges that the command line itself asks for, and so grants.
struct Grants {
  Strings read_paths, write_paths;
  bool host_network = false, insecure = false;
};

/// The values of --set, "PATTERN.KEY[+]=VALUE". Arguments without a value have that of `environment`. Throws
/// Error{usage}.
Overrides parse_overrides(const Config& config, const Strings& flags,
                          const std::map<std::string, std::string>& environment);

/// Throws Error{usage}.
void apply_overrides(Target& target, const std::map<std::string, Override>& overrides, Grants& grants);

}  // namespace cbuild::bake
