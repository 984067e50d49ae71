// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/value.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace cbuild::bake::hcl {

namespace {
using Kind = Type::Kind;
}

struct Value::Data {
  Kind kind = Kind::dynamic;
  bool null = false;
  Type type;  ///< of a null; else the element type of a list, set or map
  std::variant<std::monostate, std::string, Number, bool, Values, ValueMap> content;
  std::uint64_t weight = 1;  ///< bytes of text and values, those that are shared counted each time
};

namespace {

constexpr std::uint64_t kMaxWeight = 32 << 20;

void append_escape(std::string& out, unsigned value) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(value >> shift) & 15];
}

void append_json_rune(std::string& out, std::string_view text, const Rune& rune, bool escape_html) {
  const char c = text.front();
  if (!rune.valid) return append_escape(out, 0xfffd);
  if (rune.value == 0x2028 || rune.value == 0x2029) return append_escape(out, static_cast<unsigned>(rune.value));
  if (rune.size > 1) return static_cast<void>(out += text.substr(0, rune.size));
  if (c == '"' || c == '\\') return static_cast<void>((out += '\\') += c);
  if (c == '\n') return static_cast<void>(out += "\\n");
  if (c == '\r') return static_cast<void>(out += "\\r");
  if (c == '\t') return static_cast<void>(out += "\\t");
  if (c == '\b') return static_cast<void>(out += "\\b");
  if (c == '\f') return static_cast<void>(out += "\\f");
  if (static_cast<unsigned char>(c) < 0x20 || (escape_html && (c == '<' || c == '>' || c == '&')))
    return append_escape(out, static_cast<unsigned char>(c));
  out += c;
}

}  // namespace

std::shared_ptr<const Value::Data> Value::make(Kind kind, Type element, Values items) {
  Data data{kind, false, std::move(element), {}, 1};
  for (const Value& item : items) data.weight += item.data_->weight;
  data.content = std::move(items);
  return checked(std::move(data));
}

std::shared_ptr<const Value::Data> Value::make(Kind kind, Type element, ValueMap items) {
  Data data{kind, false, std::move(element), {}, 1};
  for (const auto& [name, item] : items) data.weight += name.size() + item.data_->weight;
  data.content = std::move(items);
  return checked(std::move(data));
}

/// Values that share parts can be exponentially larger than the text that makes them; they are walked as trees.
std::shared_ptr<const Value::Data> Value::checked(Data data) {
  if (data.weight > kMaxWeight)
    throw Error(ErrorCode::input, "a value of the file is too large").with_hint("the limit is 32 MB for each");
  return std::make_shared<const Data>(std::move(data));
}

Value::Value() : Value(null()) {}

Value Value::null(Type type) {
  Data data;
  data.kind = type.kind;
  data.null = true;
  data.type = std::move(type);
  return Value(std::make_shared<const Data>(std::move(data)));
}

Value Value::string(std::string text) {
  const std::uint64_t size = text.size() + 1;
  return Value(checked(Data{Kind::string, false, {}, std::move(text), size}));
}
Value Value::number(Number number) {
  return Value(std::make_shared<const Data>(Data{Kind::number, false, {}, std::move(number), 1}));
}
Value Value::boolean(bool value) {
  return Value(std::make_shared<const Data>(Data{Kind::boolean, false, {}, value, 1}));
}
Value Value::tuple(Values items) { return Value(make(Kind::tuple, {}, std::move(items))); }
Value Value::object(ValueMap items) { return Value(make(Kind::object, {}, std::move(items))); }
Value Value::list(Type element, Values items) { return Value(make(Kind::list, std::move(element), std::move(items))); }
Value Value::set(Type element, Values items) {
  std::sort(items.begin(), items.end(), less);
  items.erase(std::unique(items.begin(), items.end()), items.end());
  return Value(make(Kind::set, std::move(element), std::move(items)));
}
Value Value::map(Type element, ValueMap items) { return Value(make(Kind::map, std::move(element), std::move(items))); }

Kind Value::kind() const { return data_->kind; }
bool Value::is_null() const { return data_->null; }

Type Value::type() const {
  if (data_->null) return data_->type;
  switch (data_->kind) {
    case Kind::string:
      return Type::string();
    case Kind::number:
      return Type::number();
    case Kind::boolean:
      return Type::boolean();
    case Kind::list:
      return Type::list(data_->type);
    case Kind::set:
      return Type::set_of(data_->type);
    case Kind::map:
      return Type::map(data_->type);
    case Kind::tuple: {
      std::vector<Type> parts;
      for (const Value& item : items()) parts.push_back(item.type());
      return Type::tuple(std::move(parts));
    }
    case Kind::object: {
      std::map<std::string, Type> attributes;
      for (const auto& [name, item] : entries()) attributes.emplace(name, item.type());
      return Type::object(std::move(attributes));
    }
    case Kind::dynamic:
      break;
  }
  return Type::dynamic();
}

const std::string& Value::as_string() const { return std::get<std::string>(data_->content); }
const Number& Value::as_number() const { return std::get<Number>(data_->content); }
bool Value::as_bool() const { return std::get<bool>(data_->content); }
const Values& Value::items() const { return std::get<Values>(data_->content); }
const ValueMap& Value::entries() const { return std::get<ValueMap>(data_->content); }

bool Value::operator==(const Value& other) const {
  if (data_ == other.data_) return true;
  if (data_->null && other.data_->null) return true;
  return data_->null == other.data_->null && data_->kind == other.data_->kind && data_->type == other.data_->type &&
         data_->content == other.data_->content;
}

bool less(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && !b.is_null();
  if (a.kind() != b.kind()) return a.kind() < b.kind();
  switch (a.kind()) {
    case Kind::string:
      return a.as_string() < b.as_string();
    case Kind::number:
      return compare(a.as_number(), b.as_number()) < 0;
    case Kind::boolean:
      return !a.as_bool() && b.as_bool();
    default:
      return to_json(a) < to_json(b);
  }
}

std::string json_string(std::string_view text, bool escape_html) {
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    append_json_rune(out, text, rune, escape_html);
    text.remove_prefix(rune.size);
  }
  return out + "\"";
}

std::string to_json(const Value& value, bool escape_html) {
  if (value.is_null()) return "null";
  std::string out;
  switch (value.kind()) {
    case Kind::string:
      return json_string(value.as_string(), escape_html);
    case Kind::number:
      return value.as_number().text();
    case Kind::boolean:
      return value.as_bool() ? "true" : "false";
    case Kind::list:
    case Kind::set:
    case Kind::tuple:
      for (const Value& item : value.items()) out += (out.empty() ? "" : ",") + to_json(item, escape_html);
      return "[" + out + "]";
    case Kind::map:
    case Kind::object:
      for (const auto& [name, item] : value.entries())
        out += (out.empty() ? "" : ",") + json_string(name, escape_html) + ":" + to_json(item, escape_html);
      return "{" + out + "}";
    case Kind::dynamic:
      break;
  }
  return "null";
}

}  // namespace cbuild::bake::hcl
