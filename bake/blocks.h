// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "bake/config.h"
#include "bake/hcl/ast.h"

namespace cbuild::bake {

/// The groups, targets and variables of files in HCL, evaluated, as if they were one file: of a variable, function or
/// global attribute the last definition counts, targets of one name are merged. `config` is what other files gave; they
/// are added to it. Throws DiagnosticError.
void read_blocks(const std::vector<hcl::Body>& files, const VariableSources& sources, Config& config);

/// The types of blocks that files in JSON have.
const std::vector<std::string>& block_types();

}  // namespace cbuild::bake
