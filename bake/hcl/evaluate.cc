// SPDX-License-Identifier: Apache-2.0
// Evaluates expressions. One overload of `value_of` a kind of node; values that do not fit are a ValueError below,
// which gets its place here. Depth and the size of all that is made are counted, so that no file ends or fills the
// machine.
#include "bake/hcl/evaluate.h"

#include <utility>

#include "bake/hcl/convert.h"
#include "bake/hcl/functions.h"
#include "bake/hcl/reader.h"
#include "bake/hcl/type_expression.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

constexpr unsigned kMaxLevels = 1200;
constexpr std::uint64_t kMaxWork = 256 << 20;

void spend(const Scope& scope, std::uint64_t cost) {
  scope.budget.spent += cost;
  if (scope.budget.spent > kMaxWork)
    throw Error(ErrorCode::input, "the values of the file are too large")
        .with_hint("the limit is 256 MB for all of them");
}

std::uint64_t cost_of(const Value& value) {
  if (value.is_string()) return value.as_string().size() + 8;
  if (value.is_sequence()) return value.items().size() * 8 + 8;
  if (value.is_mapping()) return value.entries().size() * 16 + 8;
  return 8;
}

const Value* find_bound(const Scope& scope, const std::string& name) {
  for (const Scope* at = &scope; at; at = at->parent)
    if (const auto found = at->bound.find(name); found != at->bound.end()) return &found->second;
  return nullptr;
}

std::string near_names(std::string_view name, const std::vector<std::string>& known) {
  const auto near = suggest(name, known);
  return near ? cat("did you mean ", *near, "?") : "";
}

Value value_of(const Literal& node, const Span&, const Scope&) { return node.value; }

Value value_of(const Parentheses& node, const Span&, const Scope& scope) { return evaluate(*node.inner, scope); }

Value value_of(const Template& node, const Span&, const Scope& scope) {
  std::string out;
  for (const ExpressionPtr& part : node.parts) {
    const Value value = evaluate(*part, scope);
    try {
      out += to_text(value);
    } catch (const ValueError& error) {
      fail(part->span, error.what());
    }
    spend(scope, value.is_string() ? value.as_string().size() : 8);
  }
  return Value::string(std::move(out));
}

Value value_of(const Variable& node, const Span& span, const Scope& scope) {
  if (const Value* bound = find_bound(scope, node.name)) return *bound;
  if (scope.names.is_block(node.name))
    fail(span, cat("cannot use ", node.name, " as a variable"), cat("name one of its blocks: ", node.name, ".NAME"));
  if (auto value = scope.names.variable(node.name)) return *value;
  std::vector<std::string> known = scope.names.known_names();
  for (const Scope* at = &scope; at; at = at->parent)
    for (const auto& [name, _] : at->bound) known.push_back(name);
  fail(span, cat("variable ", go_quote(node.name), " is not defined"), near_names(node.name, known));
}

Value value_of(const CurrentItem&, const Span&, const Scope& scope) {
  CBUILD_CHECK(scope.item);
  return *scope.item;
}

Value attribute_of(const Value& from, const std::string& name, const Span& span) {
  if (from.is_null()) fail(span, cat("cannot take ", go_quote(name), " of a null value"));
  if (!from.is_mapping()) fail(span, cat("a ", friendly_name(from.type()), " has no attributes"));
  const auto found = from.entries().find(name);
  if (found != from.entries().end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, _] : from.entries()) known.push_back(key);
  fail(span, cat(go_quote(name), " is missing in the ", from.kind() == Type::Kind::map ? "map" : "object"),
       near_names(name, known));
}

/// The block type at the root, if the expression is one and nothing hides it.
const std::string* block_root(const Expression& expression, const Scope& scope) {
  const std::string* word = as_word(expression);
  return word && scope.names.is_block(*word) && !find_bound(scope, *word) ? word : nullptr;
}

Value block_value(const std::string& root, const std::string& name, const std::string& attribute, const Span& span,
                  const Scope& scope) {
  if (auto value = scope.names.block(root, name, attribute)) return *value;
  if (scope.names.block(root, name, "")) fail(span, cat(root, " ", go_quote(name), " has no ", go_quote(attribute)));
  fail(span, cat(root, " ", go_quote(name), " is not defined"));
}

Value value_of(const Attribute& node, const Span& span, const Scope& scope) {
  if (const std::string* root = block_root(*node.from, scope)) return block_value(*root, node.name, "", span, scope);
  if (const auto* outer = std::get_if<Attribute>(&node.from->node))
    if (const std::string* root = block_root(*outer->from, scope))
      return block_value(*root, outer->name, node.name, span, scope);
  return attribute_of(evaluate(*node.from, scope), node.name, span);
}

Value element_of(const Value& from, const Value& key, const Span& span) {
  const Value number = converted(key, Type::number(), span);
  const auto at = number.is_null() ? std::nullopt : number.as_number().whole();
  if (!at) fail(span, "index is not a whole number");
  if (*at < 0 || static_cast<std::uint64_t>(*at) >= from.items().size())
    fail(span, cat("index ", *at, " is out of range"), cat("there are ", from.items().size(), " elements, from 0"));
  return from.items()[static_cast<std::size_t>(*at)];
}

Value value_of(const Index& node, const Span& span, const Scope& scope) {
  if (const std::string* root = block_root(*node.from, scope))
    fail(span, cat("cannot look up ", *root, " by index"), cat("write ", *root, ".NAME"));
  const Value from = evaluate(*node.from, scope);
  const Value key = evaluate(*node.key, scope);
  if (from.is_null()) fail(span, "cannot index a null value");
  if (from.is_mapping()) {
    const Value name = converted(key, Type::string(), node.key->span);
    if (name.is_null()) fail(node.key->span, "index is null");
    return attribute_of(from, name.as_string(), span);
  }
  if (!from.is_sequence() || from.is_set())
    fail(span, cat("a ", friendly_name(from.type()), " has no elements by index"));
  return element_of(from, key, span);
}

Value value_of(const Splat& node, const Span&, const Scope& scope) {
  const Value from = evaluate(*node.from, scope);
  if (from.is_null()) return Value::tuple({});
  const Values items = from.is_sequence() ? from.items() : Values{from};
  Scope inner = scope.inner();
  Values out;
  for (const Value& item : items) {
    inner.item = &item;
    out.push_back(evaluate(*node.each, inner));
  }
  spend(scope, out.size() * 8);
  return Value::tuple(std::move(out));
}

Value value_of(const Tuple& node, const Span&, const Scope& scope) {
  Values out;
  for (const ExpressionPtr& item : node.items) out.push_back(evaluate(*item, scope));
  return Value::tuple(std::move(out));
}

std::string key_text(const Expression& key, const Scope& scope) {
  const Value value = converted(evaluate(key, scope), Type::string(), key.span);
  if (value.is_null()) fail(key.span, "key is null");
  return value.as_string();
}

Value value_of(const Object& node, const Span&, const Scope& scope) {
  ValueMap out;
  for (const auto& [key, item] : node.items) out.insert_or_assign(key_text(*key, scope), evaluate(*item, scope));
  return Value::object(std::move(out));
}

bool condition_holds(const Expression& condition, const Scope& scope) {
  const Value value = converted(evaluate(condition, scope), Type::boolean(), condition.span);
  if (value.is_null()) fail(condition.span, "condition is null");
  return value.as_bool();
}

/// Calls `visit(scope)` with the names of the loop bound for each element that its condition lets through.
template <typename Visit>
void each_element(const For& node, const Scope& scope, Visit visit) {
  const Value from = evaluate(*node.from, scope);
  if (from.is_null()) fail(node.from->span, "cannot loop over a null value");
  if (!from.is_sequence() && !from.is_mapping())
    fail(node.from->span, cat("cannot loop over a ", friendly_name(from.type())));
  Scope inner = scope.inner();
  const auto bind = [&](const Value& key, const Value& value) {
    if (!node.key_name.empty()) inner.bound.insert_or_assign(node.key_name, key);
    inner.bound.insert_or_assign(node.value_name, value);
    spend(scope, 16);
    if (!node.condition || condition_holds(*node.condition, inner)) visit(inner);
  };
  if (from.is_mapping()) {
    for (const auto& [key, value] : from.entries()) bind(Value::string(key), value);
    return;
  }
  std::int64_t at = 0;
  for (const Value& value : from.items()) bind(from.is_set() ? value : Value::number(at++), value);
}

Value loop_object(const For& node, const Scope& scope) {
  ValueMap out;
  std::map<std::string, Values> groups;
  each_element(node, scope, [&](const Scope& inner) {
    const std::string key = key_text(*node.key, inner);
    const Value value = evaluate(*node.value, inner);
    if (node.grouped)
      groups[key].push_back(value);
    else if (!out.emplace(key, value).second)
      fail(node.key->span, cat("two elements have the key ", go_quote(key)), "write ... after the value to group them");
  });
  for (auto& [key, values] : groups) out.emplace(key, Value::tuple(std::move(values)));
  return Value::object(std::move(out));
}

Value value_of(const For& node, const Span&, const Scope& scope) {
  if (node.key) return loop_object(node, scope);
  Values items;
  std::string text;
  each_element(node, scope, [&](const Scope& inner) {
    const Value value = evaluate(*node.value, inner);
    if (node.joined)
      text += value.as_string();
    else
      items.push_back(value);
  });
  spend(scope, text.size());
  return node.joined ? Value::string(std::move(text)) : Value::tuple(std::move(items));
}

Value operand(const Expression& expression, const Type& type, const Scope& scope) {
  Value value = converted(evaluate(expression, scope), type, expression.span);
  if (value.is_null()) fail(expression.span, "operand is null");
  return value;
}

Value value_of(const Unary& node, const Span& span, const Scope& scope) {
  if (node.operation == Operator::invert)
    return Value::boolean(!operand(*node.operand, Type::boolean(), scope).as_bool());
  const Number number = operand(*node.operand, Type::number(), scope).as_number();
  const auto result = calculate(Arithmetic::subtract, Number(), number);
  if (!result) fail(span, "result is too large");
  return Value::number(*result);
}

Value calculated(Arithmetic arithmetic, const Binary& node, const Span& span, const Scope& scope) {
  const Number a = operand(*node.left, Type::number(), scope).as_number();
  const Number b = operand(*node.right, Type::number(), scope).as_number();
  const auto result = calculate(arithmetic, a, b);
  if (result) return Value::number(*result);
  const bool divides = arithmetic == Arithmetic::divide || arithmetic == Arithmetic::modulo;
  fail(span, divides && b == Number() ? "division by zero" : "result is too large");
}

Value compared(const Binary& node, const Scope& scope) {
  const Number a = operand(*node.left, Type::number(), scope).as_number();
  const int order = compare(a, operand(*node.right, Type::number(), scope).as_number());
  switch (node.operation) {
    case Operator::less:
      return Value::boolean(order < 0);
    case Operator::less_equal:
      return Value::boolean(order <= 0);
    case Operator::greater:
      return Value::boolean(order > 0);
    default:
      return Value::boolean(order >= 0);
  }
}

Value value_of(const Binary& node, const Span& span, const Scope& scope) {
  switch (node.operation) {
    case Operator::add:
      return calculated(Arithmetic::add, node, span, scope);
    case Operator::subtract:
      return calculated(Arithmetic::subtract, node, span, scope);
    case Operator::multiply:
      return calculated(Arithmetic::multiply, node, span, scope);
    case Operator::divide:
      return calculated(Arithmetic::divide, node, span, scope);
    case Operator::modulo:
      return calculated(Arithmetic::modulo, node, span, scope);
    case Operator::equal:
      return Value::boolean(evaluate(*node.left, scope) == evaluate(*node.right, scope));
    case Operator::not_equal:
      return Value::boolean(!(evaluate(*node.left, scope) == evaluate(*node.right, scope)));
    case Operator::logical_and:
      return Value::boolean(operand(*node.left, Type::boolean(), scope).as_bool() &&
                            operand(*node.right, Type::boolean(), scope).as_bool());
    case Operator::logical_or:
      return Value::boolean(operand(*node.left, Type::boolean(), scope).as_bool() ||
                            operand(*node.right, Type::boolean(), scope).as_bool());
    default:
      return compared(node, scope);
  }
}

/// The type of the branch that is not taken; dynamic if it has no value.
Type type_if_valid(const Expression& expression, const Scope& scope) {
  try {
    return evaluate(expression, scope).type();
  } catch (const DiagnosticError&) {
    return Type::dynamic();
  }
}

Value value_of(const Conditional& node, const Span& span, const Scope& scope) {
  const bool holds = condition_holds(*node.condition, scope);
  const Value value = evaluate(holds ? *node.yes : *node.no, scope);
  const Type types[] = {value.type(), type_if_valid(holds ? *node.no : *node.yes, scope)};
  const auto common = unify(types);
  if (!common)
    fail(span, cat("the two values of a conditional have no type in common: ", friendly_name(types[0]), " and ",
                   friendly_name(types[1])));
  return converted(value, *common, span);
}

Values arguments_of(const Call& node, const Scope& scope) {
  Values out;
  for (std::size_t i = 0; i < node.arguments.size(); ++i) {
    const Value value = evaluate(*node.arguments[i], scope);
    if (!node.expand_last || i + 1 < node.arguments.size()) {
      out.push_back(value);
      continue;
    }
    if (!value.is_sequence()) fail(node.arguments[i]->span, "the argument before ... is not a list");
    out.insert(out.end(), value.items().begin(), value.items().end());
  }
  return out;
}

Value call_user(const UserFunction& function, const Call& node, const Span& span, const Scope& scope) {
  Values arguments = arguments_of(node, scope);
  const std::size_t count = function.parameters.size();
  if (arguments.size() < count || (arguments.size() > count && function.rest.empty()))
    fail(span, cat("function ", node.name, " takes ", function.rest.empty() ? "" : "at least ", count, " argument",
                   count == 1 ? "" : "s", ", not ", arguments.size()));
  Scope inner{scope.names, scope.budget, nullptr, {}, nullptr};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].is_null()) fail(span, cat("argument ", i + 1, " of ", node.name, " is null"));
    if (i < count) inner.bound.insert_or_assign(function.parameters[i], arguments[i]);
  }
  if (!function.rest.empty())
    inner.bound.insert_or_assign(
        function.rest, Value::tuple({arguments.begin() + static_cast<std::ptrdiff_t>(count), arguments.end()}));
  return evaluate(*function.result, inner);
}

Value first_that_works(const Call& node, const Span& span, const Scope& scope) {
  for (const ExpressionPtr& argument : node.arguments) {
    try {
      return evaluate(*argument, scope);
    } catch (const DiagnosticError& error) {
      if (argument == node.arguments.back()) fail(span, "none of the expressions of try has a value", error.what());
    }
  }
  fail(span, "function try takes at least 1 argument, not 0");
}

Value works(const Call& node, const Span& span, const Scope& scope) {
  if (node.arguments.size() != 1) fail(span, cat("function can takes 1 argument, not ", node.arguments.size()));
  try {
    evaluate(*node.arguments.front(), scope);
    return Value::boolean(true);
  } catch (const DiagnosticError&) {
    return Value::boolean(false);
  }
}

Value convert_call(const Call& node, const Span& span, const Scope& scope) {
  if (node.arguments.size() != 2) fail(span, cat("function convert takes 2 arguments, not ", node.arguments.size()));
  return converted(evaluate(*node.arguments[0], scope), read_type(*node.arguments[1]), span);
}

Value value_of(const Call& node, const Span& span, const Scope& scope) {
  if (node.name == "try") return first_that_works(node, span, scope);
  if (node.name == "can") return works(node, span, scope);
  if (node.name == "convert") return convert_call(node, span, scope);
  const Function* function = find_function(node.name);
  if (!function) {
    if (const UserFunction* user = scope.names.function(node.name)) return call_user(*user, node, span, scope);
    fail(node.name_span, cat("function ", go_quote(node.name), " is not defined"),
         near_names(node.name, function_names()));
  }
  try {
    const Value out = call_function(*function, arguments_of(node, scope));
    spend(scope, 64 + 4 * cost_of(out));
    return out;
  } catch (const ValueError& error) {
    fail(span, error.what());
  }
}

}  // namespace

Value converted(const Value& value, const Type& type, const Span& span) {
  try {
    return convert(value, type);
  } catch (const ValueError& error) {
    fail(span, error.what());
  }
}

Value evaluate(const Expression& expression, const Scope& scope) {
  struct Level {
    unsigned& depth;
    ~Level() { --depth; }
  } const level{++scope.budget.depth};
  if (scope.budget.depth > kMaxLevels)
    throw Error(ErrorCode::input, "the values of the file depend on each other over too many levels");
  spend(scope, 64);  // what a step takes in time
  return std::visit([&](const auto& node) { return value_of(node, expression.span, scope); }, expression.node);
}

}  // namespace cbuild::bake::hcl
