// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/type_expression.h"

#include "bake/hcl/reader.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

constexpr std::string_view kHint =
    "types are string, number, bool, any, list(T), set(T), map(T), tuple([T]) and object({})";

const ExpressionPtr& only_argument(const Call& call, const Span& span) {
  if (call.arguments.size() != 1) fail(span, cat("type ", call.name, " takes one argument"), std::string(kHint));
  return call.arguments.front();
}

Type read_object_type(const Expression& expression) {
  const auto* object = std::get_if<Object>(&expression.node);
  if (!object) fail(expression.span, "type object takes its attributes in braces", "such as object({ name = string })");
  std::map<std::string, Type> attributes;
  std::set<std::string> optional;
  for (const auto& [key, value] : object->items) {
    const auto* name = std::get_if<Literal>(&key->node);
    if (!name || !name->value.is_string()) fail(key->span, "name of an attribute is not plain");
    const auto* call = std::get_if<Call>(&value->node);
    const bool may_lack = call && call->name == "optional" && !call->arguments.empty();
    if (may_lack) optional.insert(name->value.as_string());
    attributes[name->value.as_string()] = read_type(may_lack ? *call->arguments.front() : *value);
  }
  Type out = Type::object(std::move(attributes));
  out.optional = std::move(optional);
  return out;
}

Type read_tuple_type(const Expression& expression) {
  const auto* tuple = std::get_if<Tuple>(&expression.node);
  if (!tuple) fail(expression.span, "type tuple takes its types in brackets", "such as tuple([string, number])");
  std::vector<Type> parts;
  for (const ExpressionPtr& item : tuple->items) parts.push_back(read_type(*item));
  return Type::tuple(std::move(parts));
}

Type read_constructor(const Call& call, const Span& span) {
  if (call.name == "list") return Type::list(read_type(*only_argument(call, span)));
  if (call.name == "set") return Type::set_of(read_type(*only_argument(call, span)));
  if (call.name == "map") return Type::map(read_type(*only_argument(call, span)));
  if (call.name == "tuple") return read_tuple_type(*only_argument(call, span));
  if (call.name == "object") return read_object_type(*only_argument(call, span));
  fail(span, cat("unknown type ", go_quote(call.name)), std::string(kHint));
}

}  // namespace

Type read_type(const Expression& expression) {
  if (const auto* call = std::get_if<Call>(&expression.node)) return read_constructor(*call, expression.span);
  const std::string* word = as_word(expression);
  if (!word) fail(expression.span, "expected a type", std::string(kHint));
  if (*word == "string") return Type::string();
  if (*word == "number") return Type::number();
  if (*word == "bool") return Type::boolean();
  if (*word == "any") return Type::dynamic();
  if (*word == "list" || *word == "set" || *word == "map")
    fail(expression.span, cat("type ", *word, " takes the type of its elements"), cat("such as ", *word, "(string)"));
  fail(expression.span, cat("unknown type ", go_quote(*word)), std::string(kHint));
}

}  // namespace cbuild::bake::hcl
