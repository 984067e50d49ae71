// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "bake/hcl/value.h"
#include "base/diagnostic.h"

/// The tree of a file in HCL's native syntax or its JSON syntax.
namespace cbuild::bake::hcl {

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;

struct Literal {
  Value value;
};
/// Parts that are joined as strings.
struct Template {
  std::vector<ExpressionPtr> parts;
};
struct Variable {
  std::string name;
};
struct Attribute {
  ExpressionPtr from;
  std::string name;
};
struct Index {
  ExpressionPtr from, key;
};
/// `each` for every element of `from`; CurrentItem stands for the element in it.
struct Splat {
  ExpressionPtr from, each;
};
struct CurrentItem {};
struct Call {
  std::string name;
  std::vector<ExpressionPtr> arguments;
  bool expand_last = false;  ///< "...": the last argument is a sequence of arguments
  Span name_span;
};
struct Tuple {
  std::vector<ExpressionPtr> items;
};
struct Object {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};
/// [for K, V in FROM: VALUE if CONDITION], with a key an object. `joined`: the strings are joined, as a template does.
struct For {
  std::string key_name, value_name;  ///< the first may be empty
  ExpressionPtr from, key, value, condition;
  bool grouped = false;  ///< "...": values of equal keys are collected
  bool joined = false;
};
enum class Operator {
  negate,
  invert,
  multiply,
  divide,
  modulo,
  add,
  subtract,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  logical_and,
  logical_or
};
struct Unary {
  Operator operation;
  ExpressionPtr operand;
};
struct Binary {
  Operator operation;
  ExpressionPtr left, right;
};
struct Conditional {
  ExpressionPtr condition, yes, no;
};
struct Parentheses {
  ExpressionPtr inner;
};

struct Expression {
  std::variant<Literal, Template, Variable, Attribute, Index, Splat, CurrentItem, Call, Tuple, Object, For, Unary,
               Binary, Conditional, Parentheses>
      node;
  Span span;
  unsigned height = 1;  ///< levels of the tree below, this one included
};

struct Assignment {
  std::string name;
  ExpressionPtr value;
  Span name_span;
};

struct Block;
struct Body {
  std::vector<Assignment> attributes;  ///< each name once, except in JSON
  std::vector<Block> blocks;

  /// The last of that name; null if there is none.
  const Assignment* find(std::string_view name) const;
};

struct Block {
  std::string type;
  std::vector<std::string> labels;
  Body body;
  Span span, label_span;  ///< the header; the first label
};

/// The name, if the expression is one word.
const std::string* as_word(const Expression& expression);

}  // namespace cbuild::bake::hcl
