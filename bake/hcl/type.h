// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::bake::hcl {

/// A type of HCL values, or a constraint on them: `dynamic` stands for any type.
struct Type {
  enum class Kind { dynamic, string, number, boolean, list, set, map, tuple, object };
  Kind kind = Kind::dynamic;
  std::vector<Type> parts;                 ///< list, set, map: the one of the elements; tuple: each
  std::map<std::string, Type> attributes;  ///< object
  std::set<std::string> optional;          ///< attributes that a value may lack; constraints only

  static Type dynamic() { return {}; }
  static Type string() { return of(Kind::string); }
  static Type number() { return of(Kind::number); }
  static Type boolean() { return of(Kind::boolean); }
  static Type list(Type element) { return of(Kind::list, {std::move(element)}); }
  static Type set_of(Type element) { return of(Kind::set, {std::move(element)}); }
  static Type map(Type element) { return of(Kind::map, {std::move(element)}); }
  static Type tuple(std::vector<Type> parts) { return of(Kind::tuple, std::move(parts)); }
  static Type object(std::map<std::string, Type> attributes);

  bool is_dynamic() const { return kind == Kind::dynamic; }
  bool is_primitive() const { return kind == Kind::string || kind == Kind::number || kind == Kind::boolean; }
  bool is_sequence() const { return kind == Kind::list || kind == Kind::set || kind == Kind::tuple; }
  bool is_mapping() const { return kind == Kind::map || kind == Kind::object; }
  const Type& element() const { return parts.front(); }

  bool operator==(const Type&) const = default;

 private:
  static Type of(Kind kind, std::vector<Type> parts = {});
};

/// "string", "list of string", "object", as messages and lists of variables name a type.
std::string friendly_name(const Type& type);

/// The type that values of all of these convert to; nullopt if there is none. Of no types: dynamic.
std::optional<Type> unify(std::span<const Type> types);

}  // namespace cbuild::bake::hcl
