// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bake/hcl/number.h"
#include "bake/hcl/type.h"

namespace cbuild::bake::hcl {

class Value;
using Values = std::vector<Value>;
using ValueMap = std::map<std::string, Value>;

/// A value of HCL, immutable; copies share it. List, set and map have elements of one type, tuple and object of any.
/// Making one of more than 32 MB throws Error{input}.
class Value {
 public:
  Value();  ///< null of any type
  static Value null(Type type = {});
  static Value string(std::string text);
  static Value number(Number number);
  static Value number(std::int64_t number) { return Value::number(Number(number)); }
  static Value boolean(bool value);
  static Value tuple(Values items);
  static Value object(ValueMap items);
  static Value list(Type element, Values items);
  /// Equal elements are kept once; the order is that of the elements.
  static Value set(Type element, Values items);
  static Value map(Type element, ValueMap items);

  Type type() const;
  Type::Kind kind() const;
  bool is_null() const;
  bool is_string() const { return !is_null() && kind() == Type::Kind::string; }
  bool is_sequence() const {
    return !is_null() && (kind() == Type::Kind::list || is_set() || kind() == Type::Kind::tuple);
  }
  bool is_set() const { return !is_null() && kind() == Type::Kind::set; }
  bool is_mapping() const { return !is_null() && (kind() == Type::Kind::map || kind() == Type::Kind::object); }

  const std::string& as_string() const;  ///< of a string
  const Number& as_number() const;       ///< of a number
  bool as_bool() const;                  ///< of a boolean
  const Values& items() const;           ///< of a list, set or tuple
  const ValueMap& entries() const;       ///< of a map or object

  /// Same type and content.
  bool operator==(const Value& other) const;

 private:
  struct Data;
  static std::shared_ptr<const Data> make(Type::Kind kind, Type element, Values items);
  static std::shared_ptr<const Data> make(Type::Kind kind, Type element, ValueMap items);
  static std::shared_ptr<const Data> checked(Data data);
  explicit Value(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// An order of all values of a type: false before true, numbers by size, strings by bytes.
bool less(const Value& a, const Value& b);

/// Compact JSON, members by name; characters are escaped as Go's encoder does, "<", ">" and "&" among them if asked.
std::string to_json(const Value& value, bool escape_html = true);
/// A JSON string literal of `text`.
std::string json_string(std::string_view text, bool escape_html = true);

}  // namespace cbuild::bake::hcl
