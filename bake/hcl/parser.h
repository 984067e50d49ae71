// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "bake/hcl/ast.h"
#include "base/diagnostic.h"

namespace cbuild::bake::hcl {

/// A file in the native syntax. Throws DiagnosticError for the first mistake. Nesting is bounded, so that no input ends
/// the program.
Body parse(const std::shared_ptr<const SourceText>& source);

/// A file in the JSON syntax: of the members that `block_types` name, each member is a block with one label; strings
/// are templates. Throws DiagnosticError.
Body parse_json(const std::shared_ptr<const SourceText>& source, std::span<const std::string> block_types);

/// The text of a literal string as an expression, for where JSON has no other way to write one; all other expressions
/// are returned as they are. Throws DiagnosticError.
ExpressionPtr unquoted(const ExpressionPtr& expression);

}  // namespace cbuild::bake::hcl
