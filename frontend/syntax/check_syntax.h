// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/syntax/ast.h"
#include "frontend/syntax/check.h"

/// Checks of the text as written, before anything is expanded: they see every stage, reached or not.
namespace cbuild::frontend {

/// One instruction by itself: StageNameCasing, FromAsCasing, MaintainerDeprecated, InvalidDefinitionDescription. The
/// instruction may be malformed.
void check_syntax(const Instruction& instruction, Checks& checks);

/// The file as a whole: DuplicateStageName, ReservedStageName, ConsistentInstructionCasing.
void check_syntax(const Dockerfile& dockerfile, Checks& checks);

}  // namespace cbuild::frontend
