// SPDX-License-Identifier: Apache-2.0
// Conversions between the types of HCL, after the rules of go-cty: every primitive has a string form, a sequence
// becomes any sequence and a mapping any mapping whose elements convert. An element type that is not known is the one
// that the elements have in common.
#include "bake/hcl/convert.h"

#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

using Kind = Type::Kind;

[[noreturn]] void mismatch(const Type& wanted) {
  const std::string name = friendly_name(wanted);
  const bool vowel = name.find_first_of("aeio") == 0;
  throw ValueError(cat(vowel ? "an " : "a ", name, " is required"));
}

Value to_boolean(const Value& value) {
  const std::string& text = value.as_string();
  if (text == "true" || text == "1") return Value::boolean(true);
  if (text == "false" || text == "0") return Value::boolean(false);
  throw ValueError("a bool is required");
}

Value to_primitive(const Value& value, const Type& type) {
  if (type.kind == Kind::string && value.kind() == Kind::number) return Value::string(value.as_number().text());
  if (type.kind == Kind::string && value.kind() == Kind::boolean)
    return Value::string(value.as_bool() ? "true" : "false");
  if (type.kind == Kind::number && value.kind() == Kind::string) {
    if (auto number = Number::parse(value.as_string())) return Value::number(*number);
  }
  if (type.kind == Kind::boolean && value.kind() == Kind::string) return to_boolean(value);
  mismatch(type);
}

Values convert_each(const Values& items, const Type& type) {
  Values out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    try {
      out.push_back(convert(items[i], type));
    } catch (const ValueError& error) {
      throw ValueError(cat("element ", i, ": ", error.what()));
    }
  }
  return out;
}

Value to_sequence(const Value& value, const Type& type) {
  if (!value.is_sequence()) mismatch(type);
  Type element = type.element();
  const Values items =
      element.is_dynamic() ? convert_alike(value.items(), element) : convert_each(value.items(), element);
  return type.kind == Kind::set ? Value::set(element, items) : Value::list(element, items);
}

Value to_tuple(const Value& value, const Type& type) {
  if (value.kind() != Kind::tuple) mismatch(type);
  if (value.items().size() != type.parts.size())
    throw ValueError(cat("tuple of ", type.parts.size(), " elements is required"));
  Values out;
  for (std::size_t i = 0; i < type.parts.size(); ++i) out.push_back(convert(value.items()[i], type.parts[i]));
  return Value::tuple(std::move(out));
}

Value convert_named(const std::string& name, const Value& value, const Type& type) {
  try {
    return convert(value, type);
  } catch (const ValueError& error) {
    throw ValueError(cat("element ", go_quote(name), ": ", error.what()));
  }
}

Value to_map(const Value& value, const Type& type) {
  if (!value.is_mapping()) mismatch(type);
  Type element = type.element();
  ValueMap out;
  if (element.is_dynamic()) {
    Values items;
    for (const auto& [_, item] : value.entries()) items.push_back(item);
    items = convert_alike(items, element);
    std::size_t i = 0;
    for (const auto& [name, _] : value.entries()) out.emplace(name, items[i++]);
  } else {
    for (const auto& [name, item] : value.entries()) out.emplace(name, convert_named(name, item, element));
  }
  return Value::map(element, std::move(out));
}

Value to_object(const Value& value, const Type& type) {
  if (!value.is_mapping()) mismatch(type);
  ValueMap out;
  for (const auto& [name, part] : type.attributes) {
    const auto found = value.entries().find(name);
    if (found != value.entries().end())
      out.emplace(name, convert_named(name, found->second, part));
    else if (type.optional.contains(name))
      out.emplace(name, Value::null(part));
    else
      throw ValueError(cat("attribute ", go_quote(name), " is required"));
  }
  return Value::object(std::move(out));
}

}  // namespace

Value convert(const Value& value, const Type& type) {
  if (type.is_dynamic()) return value;
  if (value.is_null()) return Value::null(type);
  if (type.is_primitive() && value.kind() == type.kind) return value;
  switch (type.kind) {
    case Kind::list:
    case Kind::set:
      return to_sequence(value, type);
    case Kind::map:
      return to_map(value, type);
    case Kind::tuple:
      return to_tuple(value, type);
    case Kind::object:
      return to_object(value, type);
    default:
      return to_primitive(value, type);
  }
}

Values convert_alike(const Values& values, Type& common) {
  std::vector<Type> types;
  for (const Value& value : values) types.push_back(value.type());
  const auto type = unify(types);
  if (!type) throw ValueError("all elements must have the same type");
  common = *type;
  return convert_each(values, common);
}

}  // namespace cbuild::bake::hcl
