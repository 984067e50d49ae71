// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bake/hcl/ast.h"

namespace cbuild::bake::hcl {

/// A function of the file: its result with the arguments bound to names.
struct UserFunction {
  std::vector<std::string> parameters;
  std::string rest;  ///< takes the arguments beyond those; empty: there are none
  ExpressionPtr result;
};

/// Where names come from that nothing in the expression binds. What it throws goes through the evaluation.
class Names {
 public:
  virtual ~Names() = default;
  /// nullopt: unknown.
  virtual std::optional<Value> variable(const std::string& name) = 0;
  virtual const UserFunction* function(const std::string& name) = 0;
  /// Whether ROOT.NAME.ATTRIBUTE is a part of a block.
  virtual bool is_block(const std::string& root) const = 0;
  /// `attribute` may be empty for the block as an object. nullopt: the block or attribute does not exist.
  virtual std::optional<Value> block(const std::string& root, const std::string& name,
                                     const std::string& attribute) = 0;
  /// For "did you mean".
  virtual std::vector<std::string> known_names() const = 0;
};

/// What an evaluation may still cost, over all expressions of a run: levels of calls, and bytes and elements made.
struct Budget {
  unsigned depth = 0;
  std::uint64_t spent = 0;
};

struct Scope {
  Names& names;
  Budget& budget;
  const Scope* parent = nullptr;
  std::map<std::string, Value> bound;
  const Value* item = nullptr;  ///< of a splat

  Scope inner() const { return Scope{names, budget, this, {}, item}; }
};

/// Throws DiagnosticError for a mistake, with its place, and Error{input} when the budget is used up.
Value evaluate(const Expression& expression, const Scope& scope);

/// `value` converted to `type`. Throws DiagnosticError at `span`.
Value converted(const Value& value, const Type& type, const Span& span);

}  // namespace cbuild::bake::hcl
