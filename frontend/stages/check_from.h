// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/stages/lower_options.h"
#include "frontend/stages/scope.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/check.h"

/// Checks of the variables in FROM. They see every stage, reached or not.
namespace cbuild::frontend {

/// UndefinedArgInFrom, RedundantTargetPlatform, FromPlatformFlagConstDisallowed.
void check_from_variables(const Dockerfile& dockerfile, const Stage& stage, const Variables& globals, Checks& checks);

/// InvalidDefaultArgInFrom: would FROM name an image if no build argument was given?
void check_default_arguments(const Dockerfile& dockerfile, const LowerOptions& options, Checks& checks);

}  // namespace cbuild::frontend
