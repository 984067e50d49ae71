// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bake/config.h"
#include "bake/hcl/evaluate.h"

namespace cbuild::bake {

/// A `variable` block.
struct VariableBlock {
  std::string name, description;
  hcl::ExpressionPtr type, value;  ///< null: not given
  struct Validation {
    hcl::ExpressionPtr condition, message;
  };
  std::vector<Validation> validations;
  Span span;
};

/// Throws DiagnosticError.
VariableBlock read_variable(const hcl::Block& block);

/// A variable's value and, if the file gives a type, that.
struct TypedValue {
  hcl::Value value;
  std::optional<hcl::Type> type;
};

/// The value of the variable after its default and what overrides that. `has_variable` tells which names the files
/// define. Throws DiagnosticError.
TypedValue variable_value(const VariableBlock& variable, const hcl::Scope& scope, const VariableSources& sources,
                          const std::function<bool(const std::string&)>& has_variable);

/// A text from outside in place of `value`, which a global attribute gives. Throws DiagnosticError at `span`.
hcl::Value overridden(const std::string& name, const hcl::Value& value, const std::string& text, const Span& span);

std::optional<std::string> override_of(const VariableSources& sources, const std::string& name);

/// Throws DiagnosticError with all conditions that do not hold.
void check_validations(const std::vector<const VariableBlock*>& variables, const hcl::Scope& scope);

VariableInfo describe(const VariableBlock& variable, const TypedValue& value);

}  // namespace cbuild::bake
