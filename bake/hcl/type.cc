// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/type.h"

#include <algorithm>
#include <utility>

namespace cbuild::bake::hcl {
namespace {

using Kind = Type::Kind;

std::optional<Type> unify_primitives(std::span<const Type> types) {
  bool text = false;
  for (const Type& type : types) {
    if (!type.is_primitive()) return std::nullopt;
    text = text || type.kind == Kind::string;
  }
  if (text) return Type::string();
  return std::nullopt;  // numbers and booleans have nothing in common
}

std::vector<Type> element_types(std::span<const Type> types) {
  std::vector<Type> out;
  for (const Type& type : types) {
    if (type.is_mapping() && type.kind == Kind::object)
      for (const auto& [_, part] : type.attributes) out.push_back(part);
    else
      out.insert(out.end(), type.parts.begin(), type.parts.end());
  }
  return out;
}

std::optional<Type> unify_tuples(std::span<const Type> types) {
  std::vector<Type> parts;
  for (std::size_t i = 0; i < types.front().parts.size(); ++i) {
    std::vector<Type> column;
    for (const Type& type : types) column.push_back(type.parts[i]);
    auto part = unify(column);
    if (!part) return std::nullopt;
    parts.push_back(std::move(*part));
  }
  return Type::tuple(std::move(parts));
}

std::optional<Type> unify_objects(std::span<const Type> types) {
  std::map<std::string, Type> attributes;
  for (const auto& [name, _] : types.front().attributes) {
    std::vector<Type> column;
    for (const Type& type : types) {
      const auto found = type.attributes.find(name);
      if (found == type.attributes.end()) return std::nullopt;
      column.push_back(found->second);
    }
    auto part = unify(column);
    if (!part) return std::nullopt;
    attributes.emplace(name, std::move(*part));
  }
  return Type::object(std::move(attributes));
}

template <typename Predicate>
bool all(std::span<const Type> types, Predicate predicate) {
  return std::all_of(types.begin(), types.end(), predicate);
}

std::optional<Type> unify_sequences(std::span<const Type> types) {
  const bool tuples = all(types, [&](const Type& type) {
    return type.kind == Kind::tuple && type.parts.size() == types.front().parts.size();
  });
  if (tuples)
    if (auto tuple = unify_tuples(types)) return tuple;
  const auto element = unify(element_types(types));
  if (!element) return std::nullopt;
  const auto has = [&](Kind kind) {
    return std::any_of(types.begin(), types.end(), [&](const Type& type) { return type.kind == kind; });
  };
  return has(Kind::set) && !has(Kind::list) ? Type::set_of(*element) : Type::list(*element);
}

std::optional<Type> unify_mappings(std::span<const Type> types) {
  const bool objects = all(types, [&](const Type& type) {
    return type.kind == Kind::object && type.attributes.size() == types.front().attributes.size();
  });
  if (objects)
    if (auto object = unify_objects(types)) return object;
  const auto element = unify(element_types(types));
  return element ? std::optional<Type>(Type::map(*element)) : std::nullopt;
}

std::string list_name(const Type& type, std::string_view word) {
  return std::string(word) + " of " + friendly_name(type.element());
}

}  // namespace

Type Type::of(Kind kind, std::vector<Type> parts) {
  Type out;
  out.kind = kind;
  out.parts = std::move(parts);
  return out;
}

Type Type::object(std::map<std::string, Type> attributes) {
  Type out = of(Kind::object);
  out.attributes = std::move(attributes);
  return out;
}

std::string friendly_name(const Type& type) {
  switch (type.kind) {
    case Kind::dynamic:
      return "any type";
    case Kind::string:
      return "string";
    case Kind::number:
      return "number";
    case Kind::boolean:
      return "bool";
    case Kind::list:
      return list_name(type, "list");
    case Kind::set:
      return list_name(type, "set");
    case Kind::map:
      return list_name(type, "map");
    case Kind::tuple:
      return "tuple";
    case Kind::object:
      return "object";
  }
  return "";
}

std::optional<Type> unify(std::span<const Type> all_types) {
  std::vector<Type> types;
  for (const Type& type : all_types)
    if (!type.is_dynamic() && std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  if (types.empty()) return Type::dynamic();
  if (types.size() == 1) return types.front();
  if (auto primitive = unify_primitives(types)) return primitive;
  if (all(types, [](const Type& type) { return type.is_sequence(); })) return unify_sequences(types);
  if (all(types, [](const Type& type) { return type.is_mapping(); })) return unify_mappings(types);
  return std::nullopt;
}

}  // namespace cbuild::bake::hcl
