// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

/// The sets with elements of the one type that they have in common.
std::vector<Value> alike(const Values& sets) {
  std::vector<Type> types;
  for (const Value& set : sets) types.push_back(set.type());
  const auto common = unify(types);
  if (!common) throw ValueError("the sets have no element type in common");
  std::vector<Value> out;
  for (const Value& set : sets) out.push_back(convert(set, *common));
  return out;
}

bool has(const Value& set, const Value& item) {
  return std::binary_search(set.items().begin(), set.items().end(), item, less);
}

template <typename Keep>
Value filtered(const Values& sets, Keep keep) {
  if (sets.empty()) throw ValueError("at least one set is needed");
  const std::vector<Value> all = alike(sets);
  Values out;
  for (const Value& set : all)
    for (const Value& item : set.items())
      if (keep(all, item)) out.push_back(item);
  return Value::set(all.front().type().element(), std::move(out));
}

std::ptrdiff_t holders(const std::vector<Value>& sets, const Value& item) {
  return std::count_if(sets.begin(), sets.end(), [&](const Value& set) { return has(set, item); });
}

Value set_union(const Values& arguments) {
  return filtered(arguments, [](const auto&, const Value&) { return true; });
}
Value set_intersection(const Values& arguments) {
  return filtered(arguments, [](const auto& sets, const Value& item) {
    return holders(sets, item) == static_cast<std::ptrdiff_t>(sets.size());
  });
}
Value set_subtract(const Values& arguments) {
  return filtered(arguments,
                  [](const auto& sets, const Value& item) { return has(sets[0], item) && !has(sets[1], item); });
}
Value set_difference(const Values& arguments) {
  return filtered(arguments, [](const auto& sets, const Value& item) { return holders(sets, item) % 2 == 1; });
}

Value set_has(const Values& arguments) {
  const Value& set = arguments[0];
  try {
    return Value::boolean(has(set, convert(arguments[1], set.type().element())));
  } catch (const ValueError&) {
    return Value::boolean(false);
  }
}

constexpr std::size_t kMaxProduct = 100000;

/// The arguments as lists of one type each.
std::vector<Values> factors(const Values& arguments, std::vector<Type>& types) {
  std::vector<Values> out;
  std::size_t total = 1;
  for (const Value& argument : arguments) {
    if (!argument.is_sequence()) throw ValueError("an argument is not a set or a list");
    Type element;
    out.push_back(convert_alike(argument.items(), element));
    types.push_back(std::move(element));
    total *= std::max<std::size_t>(out.back().size(), 1);
    if (total > kMaxProduct) throw ValueError(cat("more than ", kMaxProduct, " combinations"));
  }
  return out;
}

Value set_product(const Values& arguments) {
  if (arguments.size() < 2) throw ValueError("at least two sets are needed");
  std::vector<Type> types;
  const std::vector<Values> all = factors(arguments, types);
  std::vector<Values> rows = {{}};
  for (const Values& factor : all) {
    std::vector<Values> longer;
    for (const Values& row : rows)
      for (const Value& item : factor) {
        longer.push_back(row);
        longer.back().push_back(item);
      }
    rows = std::move(longer);
  }
  Values out;
  for (Values& row : rows) out.push_back(Value::tuple(std::move(row)));
  const bool lists =
      std::none_of(arguments.begin(), arguments.end(), [](const Value& value) { return value.is_set(); });
  const Type element = Type::tuple(types);
  return lists ? Value::list(element, std::move(out)) : Value::set(element, std::move(out));
}

constexpr Function kSetFunctions[] = {
    {"sethaselement", "Td", set_has},
    {"setintersection", "TT*", set_intersection},
    {"setproduct", "d*", set_product},
    {"setsubtract", "TT", set_subtract},
    {"setsymmetricdifference", "TT*", set_difference},
    {"setunion", "TT*", set_union},
};

}  // namespace

std::span<const Function> set_functions() { return kSetFunctions; }

}  // namespace cbuild::bake::hcl
