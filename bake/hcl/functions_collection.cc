// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

using Kind = Type::Kind;

std::int64_t whole_of(const Value& value, std::string_view what) {
  const auto number = value.as_number().whole();
  if (!number) throw ValueError(cat(what, " is not a whole number"));
  return *number;
}

const Values& sequence_at(const Values& arguments, std::size_t at) {
  if (!arguments[at].is_sequence()) throw ValueError(cat("argument ", at + 1, " is not a list, set or tuple"));
  return arguments[at].items();
}

const ValueMap& mapping_at(const Values& arguments, std::size_t at) {
  if (!arguments[at].is_mapping()) throw ValueError(cat("argument ", at + 1, " is not a map or an object"));
  return arguments[at].entries();
}

/// `items` as a list if `like` is one, else as a tuple.
Value same_kind(const Value& like, Values items) {
  if (like.kind() == Kind::tuple) return Value::tuple(std::move(items));
  return Value::list(like.type().element(), std::move(items));
}

Value length(const Values& arguments) {
  const Value& value = arguments[0];
  if (value.is_sequence()) return Value::number(static_cast<std::int64_t>(value.items().size()));
  if (value.is_mapping() && value.kind() == Kind::map)
    return Value::number(static_cast<std::int64_t>(value.entries().size()));
  throw ValueError("argument is not a list, a map or a tuple");
}

Value concat(const Values& arguments) {
  if (arguments.empty()) throw ValueError("at least one list is needed");
  Values out;
  std::vector<Type> types;
  bool lists = true;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Values& items = sequence_at(arguments, i);
    out.insert(out.end(), items.begin(), items.end());
    types.push_back(arguments[i].type());
    lists = lists && arguments[i].kind() == Kind::list;
  }
  const auto common = lists ? unify(types) : std::nullopt;
  return common ? convert(Value::tuple(std::move(out)), *common) : Value::tuple(std::move(out));
}

Value contains(const Values& arguments) {
  const Values& items = sequence_at(arguments, 0);
  return Value::boolean(std::find(items.begin(), items.end(), arguments[1]) != items.end());
}

Value index_of(const Values& arguments) {
  const Values& items = sequence_at(arguments, 0);
  const auto found = std::find(items.begin(), items.end(), arguments[1]);
  if (found == items.end()) throw ValueError("item is not in the list");
  return Value::number(found - items.begin());
}

const Value* element_at(const Value& collection, const Value& key) {
  if (collection.is_mapping() && collection.kind() == Kind::map) {
    if (!key.is_string()) throw ValueError("key of a map is not a string");
    const auto found = collection.entries().find(key.as_string());
    return found == collection.entries().end() ? nullptr : &found->second;
  }
  if (!collection.is_sequence() || collection.is_set())
    throw ValueError("first argument is not a list, a map or a tuple");
  if (key.kind() != Kind::number || key.is_null()) throw ValueError("key of a list is not a number");
  const auto at = key.as_number().whole();
  if (!at || *at < 0 || static_cast<std::size_t>(*at) >= collection.items().size()) return nullptr;
  return &collection.items()[static_cast<std::size_t>(*at)];
}

Value has_index(const Values& arguments) { return Value::boolean(element_at(arguments[0], arguments[1]) != nullptr); }

Value index(const Values& arguments) {
  const Value* found = element_at(arguments[0], arguments[1]);
  if (!found) throw ValueError("invalid index");
  return *found;
}

/// The index goes round.
Value element(const Values& arguments) {
  const Values& items = sequence_at(arguments, 0);
  if (items.empty()) throw ValueError("list is empty");
  const std::int64_t count = static_cast<std::int64_t>(items.size());
  const std::int64_t at = whole_of(arguments[1], "index") % count;
  return items[static_cast<std::size_t>(at < 0 ? at + count : at)];
}

/// Values of several types in the one they have in common.
Value coalesce(const Values& arguments) {
  Type common;
  if (arguments.empty()) throw ValueError("at least one value is needed");
  const Values values = convert_alike(arguments, common);
  const auto found = std::find_if(values.begin(), values.end(), [](const Value& value) { return !value.is_null(); });
  if (found == values.end()) throw ValueError("all values are null");
  return *found;
}

Value coalesce_list(const Values& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i)
    if (!arguments[i].is_null() && !sequence_at(arguments, i).empty()) return arguments[i];
  throw ValueError("all lists are empty or null");
}

Value compact(const Values& arguments) {
  Values out;
  for (const Value& item : arguments[0].items())
    if (!item.is_null() && !item.as_string().empty()) out.push_back(item);
  return Value::list(Type::string(), std::move(out));
}

Value distinct(const Values& arguments) {
  Values out;
  for (const Value& item : arguments[0].items()) {
    if (out.size() > 10000) throw ValueError("list has more than 10000 different elements");
    if (std::find(out.begin(), out.end(), item) == out.end()) out.push_back(item);
  }
  return same_kind(arguments[0], std::move(out));
}

Value chunk_list(const Values& arguments) {
  const std::int64_t size = whole_of(arguments[1], "size");
  if (size < 0) throw ValueError("size is negative");
  const Values& items = arguments[0].items();
  const std::size_t step = size == 0 ? std::max<std::size_t>(items.size(), 1) : static_cast<std::size_t>(size);
  Values out;
  for (std::size_t i = 0; i < items.size(); i += step)
    out.push_back(
        same_kind(arguments[0], Values(items.begin() + static_cast<std::ptrdiff_t>(i),
                                       items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), i + step)))));
  return Value::list(arguments[0].type(), std::move(out));
}

void flatten_into(Values& out, const Values& items) {
  for (const Value& item : items) {
    if (item.is_sequence())
      flatten_into(out, item.items());
    else
      out.push_back(item);
  }
}
Value flatten(const Values& arguments) {
  Values out;
  flatten_into(out, sequence_at(arguments, 0));
  return Value::tuple(std::move(out));
}

Value keys(const Values& arguments) {
  Values out;
  for (const auto& [key, _] : mapping_at(arguments, 0)) out.push_back(Value::string(key));
  if (arguments[0].kind() == Kind::object) return Value::tuple(std::move(out));
  return Value::list(Type::string(), std::move(out));
}

Value values(const Values& arguments) {
  Values out;
  for (const auto& [_, value] : mapping_at(arguments, 0)) out.push_back(value);
  if (arguments[0].kind() == Kind::object) return Value::tuple(std::move(out));
  return Value::list(arguments[0].type().element(), std::move(out));
}

Value lookup(const Values& arguments) {
  const ValueMap& entries = mapping_at(arguments, 0);
  const auto found = entries.find(arguments[1].as_string());
  if (found != entries.end()) return found->second;
  return arguments[0].kind() == Kind::map ? convert(arguments[2], arguments[0].type().element()) : arguments[2];
}

Value merge(const Values& arguments) {
  ValueMap out;
  bool alike = true;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    alike = alike && arguments[i].type() == arguments[0].type();
    if (arguments[i].is_null()) continue;
    for (const auto& [key, value] : mapping_at(arguments, i)) out.insert_or_assign(key, value);
  }
  if (alike && !arguments.empty() && arguments[0].type().kind == Kind::map)
    return Value::map(arguments[0].type().element(), std::move(out));
  return Value::object(std::move(out));
}

Value reverse_list(const Values& arguments) {
  const Values& items = sequence_at(arguments, 0);
  return same_kind(arguments[0], Values(items.rbegin(), items.rend()));
}

Value slice(const Values& arguments) {
  const Values& items = sequence_at(arguments, 0);
  if (arguments[0].is_set()) throw ValueError("a set has no order to slice by");
  const std::int64_t begin = whole_of(arguments[1], "start index"), end = whole_of(arguments[2], "end index");
  if (begin < 0 || end < begin || static_cast<std::size_t>(end) > items.size())
    throw ValueError(cat("indices ", begin, " and ", end, " are not within the ", items.size(), " elements"));
  return same_kind(arguments[0], Values(items.begin() + begin, items.begin() + end));
}

Value zipmap(const Values& arguments) {
  const Values &names = arguments[0].items(), &items = sequence_at(arguments, 1);
  if (names.size() != items.size()) throw ValueError("the two lists are not of the same length");
  ValueMap out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].is_null()) throw ValueError("a key is null");
    out.insert_or_assign(names[i].as_string(), items[i]);
  }
  if (arguments[1].kind() == Kind::tuple) return Value::object(std::move(out));
  return Value::map(arguments[1].type().element(), std::move(out));
}

Number plus(const Number& a, const Number& b) {
  const auto sum = calculate(Arithmetic::add, a, b);
  if (!sum) throw ValueError("a number is too large");
  return *sum;
}

Value range(const Values& arguments) {
  if (arguments.empty() || arguments.size() > 3) throw ValueError("function takes one, two or three arguments");
  const Number begin = arguments.size() > 1 ? arguments[0].as_number() : Number();
  const Number end = arguments[arguments.size() > 1 ? 1 : 0].as_number();
  const bool towards = compare(end, begin) < 0;
  const Number step = arguments.size() > 2 ? arguments[2].as_number() : Number(towards ? -1 : 1);
  const int direction = compare(step, Number());
  if (direction == 0) throw ValueError("step is zero");
  if (compare(end, begin) * direction < 0) throw ValueError("end is not in the direction of the step");
  Values out;
  for (Number at = begin; compare(at, end) * direction < 0; at = plus(at, step)) {
    if (out.size() >= 1024) throw ValueError("more than 1024 values");
    out.push_back(Value::number(at));
  }
  return Value::list(Type::number(), std::move(out));
}

constexpr Function kCollectionFunctions[] = {
    {"chunklist", "Ln", chunk_list},
    {"coalesce", "d?*", coalesce},
    {"coalescelist", "d?*", coalesce_list},
    {"compact", "l", compact},
    {"concat", "d*", concat},
    {"contains", "dd", contains},
    {"distinct", "L", distinct},
    {"element", "dn", element},
    {"flatten", "d", flatten},
    {"hasindex", "dd", has_index},
    {"index", "dd", index},
    {"indexof", "dd", index_of},
    {"keys", "d", keys},
    {"length", "d", length},
    {"lookup", "dsd", lookup},
    {"merge", "d?*", merge},
    {"range", "n*", range},
    {"reverselist", "d", reverse_list},
    {"slice", "dnn", slice},
    {"values", "d", values},
    {"zipmap", "ld", zipmap},
};

}  // namespace

std::span<const Function> collection_functions() { return kCollectionFunctions; }

}  // namespace cbuild::bake::hcl
