// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "frontend/syntax/ast.h"

namespace cbuild::frontend {

/// Checks that need nothing but the instruction itself: HEALTHCHECK values, network and security modes, from=
/// of mounts. Throws DiagnosticError.
void validate_instruction(const Instruction& instruction);

/// Refuses build arguments whose meaning BuildKit has dropped. Throws DiagnosticError.
void validate_build_args(const std::map<std::string, std::string>& build_args);

/// validate_instruction() for every stage, reached or not. Throws DiagnosticError with all that is wrong.
void validate_stages(const Dockerfile& dockerfile);

}  // namespace cbuild::frontend
