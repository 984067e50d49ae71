// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bake/hcl/ast.h"
#include "bake/hcl/type.h"

namespace cbuild::bake::hcl {

/// A type as a variable declares it: string, number, bool, any, list(T), set(T), map(T), tuple([T...]),
/// object({NAME = T...}) with optional(T). Throws DiagnosticError.
Type read_type(const Expression& expression);

}  // namespace cbuild::bake::hcl
