// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "bake/hcl/convert.h"
#include "bake/hcl/value.h"

namespace cbuild::bake::hcl {

/// A built-in function. `parameters` has a letter for each argument: s string, n number, b bool, l list of strings,
/// L list, T set, d any; "?" after it: null is taken; "*" at the end: the last may come any number of times.
struct Function {
  std::string_view name, parameters;
  Value (*call)(const Values& arguments);
};

/// Null if there is none of that name. "can", "try" and "convert" are the evaluator's and not here.
const Function* find_function(std::string_view name);
std::vector<std::string> function_names();

/// With the arguments checked and converted. Throws ValueError.
Value call_function(const Function& function, Values arguments);

/// The tables of each subject.
std::span<const Function> number_functions();
std::span<const Function> string_functions();
std::span<const Function> regex_functions();
std::span<const Function> collection_functions();
std::span<const Function> set_functions();
std::span<const Function> encoding_functions();
std::span<const Function> hash_functions();
std::span<const Function> time_functions();
std::span<const Function> address_functions();
std::span<const Function> version_functions();

/// A number among the arguments of a function. Throws ValueError unless it is whole.
std::int64_t whole_at(const Values& arguments, std::size_t at);

/// How functions compare: of the same type and equal.
Value equal(const Value& a, const Value& b);
/// What `value` reads as in a template. Throws ValueError for null and collections.
std::string to_text(const Value& value);
Value strings(const std::vector<std::string>& items);  ///< a list of strings

}  // namespace cbuild::bake::hcl
