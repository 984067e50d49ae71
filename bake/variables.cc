// SPDX-License-Identifier: Apache-2.0
// Variables: a default, a type that values from outside are read as, and conditions. A value from outside is plain text
// for primitives, comma-separated for collections of them ("k:v,..." for maps), and JSON under the name with "_JSON".
#include "bake/variables.h"

#include <algorithm>
#include <cstdlib>

#include "bake/entries.h"
#include "bake/hcl/convert.h"
#include "bake/hcl/functions.h"
#include "bake/hcl/parser.h"
#include "bake/hcl/type_expression.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using hcl::Type;
using hcl::Value;
using hcl::ValueError;

[[noreturn]] void fail_at(const Span& span, std::string message, std::string hint = "") {
  throw DiagnosticError({Diagnostic{Severity::error, span, std::move(message), std::move(hint), ""}});
}

Value read_number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool plain = text.find_first_not_of("0123456789+-.eE") == std::string::npos;
  const auto value = !text.empty() && *end == '\0' && plain ? hcl::Number::from_double(number) : std::nullopt;
  if (!value) throw ValueError(cat("failed to parse ", name, " as number: invalid value ", go_quote(text)));
  return Value::number(*value);
}

Value read_primitive(const std::string& name, const std::string& text, const Type& type) {
  if (type.kind == Type::Kind::number) return read_number(name, text);
  if (type.kind == Type::Kind::string) return Value::string(text);
  if (type.kind != Type::Kind::boolean)
    throw ValueError(cat("unsupported type ", friendly_name(type), " for comma-separated values of ", name));
  try {
    return Value::boolean(parse_flag(text, text));
  } catch (const ValueError&) {
    throw ValueError(cat("failed to parse ", name, " as bool: invalid value ", go_quote(text)));
  }
}

Value read_pairs(const std::string& name, const std::vector<std::string>& fields, const Type& type) {
  hcl::ValueMap out;
  for (const std::string& field : fields) {
    const auto parts = split(field, ':');
    if (parts.size() != 2) throw ValueError(cat("expected key:value for ", name, ", got ", go_quote(field)));
    out.insert_or_assign(parts[0], read_primitive(name, parts[1], type.element()));
  }
  return Value::map(type.element(), std::move(out));
}

Value read_fields(const std::string& name, const std::string& text, const Type& type) {
  const auto fields = csv_values(text);
  if (type.kind == Type::Kind::map) return read_pairs(name, fields, type);
  hcl::Values out;
  if (type.kind == Type::Kind::tuple && type.parts.size() != fields.size())
    throw ValueError(cat("variable ", name, " takes ", type.parts.size(), " elements, not ", fields.size()));
  for (std::size_t i = 0; i < fields.size(); ++i)
    out.push_back(read_primitive(name, fields[i], type.kind == Type::Kind::tuple ? type.parts[i] : type.element()));
  if (type.kind == Type::Kind::tuple) return Value::tuple(std::move(out));
  if (type.kind == Type::Kind::set) return Value::set(type.element(), std::move(out));
  return Value::list(type.element(), std::move(out));
}

Value read_json(const std::string& text, const Type& type) {
  return hcl::convert(hcl::call_function(*hcl::find_function("jsondecode"), {Value::string(text)}), type);
}

struct Override {
  std::string text;
  bool json = false;
};

std::optional<Override> find_override(const std::string& name, bool typed, const VariableSources& sources,
                                      const std::function<bool(const std::string&)>& has_variable) {
  const auto plain = override_of(sources, name);
  const std::string json_name = name + "_JSON";
  if ((!plain || typed) && !has_variable(json_name))
    if (const auto json = override_of(sources, json_name)) return Override{*json, true};
  return plain ? std::optional(Override{*plain, false}) : std::nullopt;
}

/// What the file gives no type for has that of its default.
Value read_untyped(const std::string& name, const std::optional<Value>& value, const std::string& text) {
  if (!value || value->type().is_dynamic()) return Value::string(text);
  const Type type = value->type();
  if (!type.is_primitive()) throw ValueError(cat("unsupported type ", friendly_name(type), " for variable ", name));
  return read_primitive(name, text, type);
}

Value read_override(const std::string& name, const Override& given, const std::optional<Type>& type,
                    const std::optional<Value>& value) {
  if (!type) return read_untyped(name, value, given.text);
  if (given.json) return read_json(given.text, *type);
  if (type->is_dynamic()) return read_untyped(name, value, given.text);
  if (type->is_primitive()) return read_primitive(name, given.text, *type);
  if (type->kind == Type::Kind::object)
    throw ValueError(cat("unsupported type object for variable ", name, "; give it as JSON in ", name, "_JSON"));
  return read_fields(name, given.text, *type);
}

std::optional<Type> type_of(const VariableBlock& variable) {
  if (!variable.type) return std::nullopt;
  const auto* literal = std::get_if<hcl::Literal>(&variable.type->node);
  if (literal && literal->value.is_null()) return std::nullopt;
  return hcl::read_type(*hcl::unquoted(variable.type));
}

std::optional<Value> default_of(const VariableBlock& variable, const hcl::Scope& scope,
                                const std::optional<Type>& type) {
  if (!variable.value) return std::nullopt;
  const Value value = hcl::evaluate(*variable.value, scope);
  try {
    return type ? hcl::convert(value, *type) : value;
  } catch (const ValueError& error) {
    fail_at(variable.value->span, cat("invalid type ", friendly_name(*type), " for variable ", variable.name,
                                      " default value: ", error.what()));
  }
}

/// A condition that does not hold, or has no value.
std::optional<Diagnostic> check_one(const VariableBlock::Validation& validation, const hcl::Scope& scope) {
  const Span& span = validation.condition->span;
  const Value value = hcl::converted(hcl::evaluate(*validation.condition, scope), Type::boolean(), span);
  if (value.is_null()) return Diagnostic{Severity::error, span, "condition is null, neither true nor false", "", ""};
  if (value.as_bool()) return std::nullopt;
  const Value message = hcl::evaluate(*validation.message, scope);
  return Diagnostic{Severity::error, span,
                    message.is_string() ? cat("validation failed: ", message.as_string()) : "validation failed", "",
                    ""};
}

VariableBlock::Validation read_validation(const hcl::Block& block) {
  const hcl::Assignment *condition = block.body.find("condition"), *message = block.body.find("error_message");
  if (!condition || !message) fail_at(block.span, "validation needs condition and error_message");
  return {condition->value, message->value};
}

std::string constant_text(const hcl::Assignment& assignment) {
  const auto* literal = std::get_if<hcl::Literal>(&assignment.value->node);
  if (!literal || !literal->value.is_string())
    fail_at(assignment.value->span, cat(assignment.name, " is not a plain string"));
  return literal->value.as_string();
}

}  // namespace

VariableBlock read_variable(const hcl::Block& block) {
  VariableBlock out;
  if (block.labels.size() != 1) fail_at(block.label_span, "a variable has one name", "such as: variable \"TAG\" {");
  out.name = block.labels.front();
  out.span = block.span;
  if (const auto* type = block.body.find("type")) out.type = type->value;
  if (const auto* value = block.body.find("default")) out.value = value->value;
  if (const auto* text = block.body.find("description")) out.description = constant_text(*text);
  for (const hcl::Block& inner : block.body.blocks)
    if (inner.type == "validation") out.validations.push_back(read_validation(inner));
  return out;
}

std::optional<std::string> override_of(const VariableSources& sources, const std::string& name) {
  for (const auto* values : {&sources.given, &sources.environment})
    if (const auto found = values->find(name); found != values->end()) return found->second;
  return std::nullopt;
}

Value overridden(const std::string& name, const Value& value, const std::string& text, const Span& span) {
  try {
    return read_untyped(name, value, text);
  } catch (const ValueError& error) {
    fail_at(span, error.what());
  }
}

TypedValue variable_value(const VariableBlock& variable, const hcl::Scope& scope, const VariableSources& sources,
                          const std::function<bool(const std::string&)>& has_variable) {
  TypedValue out;
  out.type = type_of(variable);
  const std::optional<Value> value = default_of(variable, scope, out.type);
  const auto given = find_override(variable.name, out.type.has_value(), sources, has_variable);
  if (!given) {
    out.value = value ? *value : out.type ? Value::null(*out.type) : Value::string("");
    return out;
  }
  try {
    out.value = read_override(variable.name, *given, out.type, value);
  } catch (const ValueError& error) {
    fail_at(variable.span, error.what());
  }
  return out;
}

void check_validations(const std::vector<const VariableBlock*>& variables, const hcl::Scope& scope) {
  std::vector<Diagnostic> out;
  for (const VariableBlock* variable : variables)
    for (const auto& validation : variable->validations)
      if (auto diagnostic = check_one(validation, scope)) out.push_back(std::move(*diagnostic));
  if (!out.empty()) throw DiagnosticError(std::move(out));
}

VariableInfo describe(const VariableBlock& variable, const TypedValue& value) {
  VariableInfo out{variable.name, variable.description, "", std::nullopt};
  if (value.type) out.type = value.type->is_dynamic() ? "any type" : friendly_name(*value.type);
  if (value.value.is_null()) return out;
  const bool plain_text = value.value.is_string() && (!value.type || value.type->kind == Type::Kind::string);
  out.value = plain_text ? value.value.as_string() : hcl::to_json(value.value);
  return out;
}

}  // namespace cbuild::bake
