// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bake/config.h"

namespace cbuild::bake {

struct BakeFile {
  std::string name;  ///< as the user names it; "-" for standard input
  std::string text;
};

/// The files of these names, "-" being standard input; of no names, those that the working directory has of the default
/// ones, in their order. Throws Error, not_found for a named one that is missing.
std::vector<BakeFile> read_files(const std::vector<std::string>& names);

/// What the files define, merged in their order, compose files first: of each target, all that they say. `relative`:
/// paths of contexts are relative to the file they stand in. Throws DiagnosticError and Error{input}.
Config read_config(const std::vector<BakeFile>& files, const VariableSources& sources, bool relative = false);

}  // namespace cbuild::bake
