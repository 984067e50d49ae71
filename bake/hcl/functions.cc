// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/functions.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

const std::map<std::string_view, const Function*>& table() {
  static const auto kTable = [] {
    std::map<std::string_view, const Function*> out;
    for (const auto functions :
         {number_functions(), string_functions(), regex_functions(), collection_functions(), set_functions(),
          encoding_functions(), hash_functions(), time_functions(), address_functions(), version_functions()})
      for (const Function& function : functions) out.emplace(function.name, &function);
    return out;
  }();
  return kTable;
}

struct Parameter {
  Type type;
  bool null_taken = false;
};

Type type_of(char letter) {
  switch (letter) {
    case 's':
      return Type::string();
    case 'n':
      return Type::number();
    case 'b':
      return Type::boolean();
    case 'l':
      return Type::list(Type::string());
    case 'L':
      return Type::list(Type::dynamic());
    case 'T':
      return Type::set_of(Type::dynamic());
    default:
      return Type::dynamic();
  }
}

std::vector<Parameter> parameters_of(std::string_view letters) {
  std::vector<Parameter> out;
  for (const char c : letters) {
    if (c == '?')
      out.back().null_taken = true;
    else if (c != '*')
      out.push_back({type_of(c)});
  }
  return out;
}

void check_count(const Function& function, std::size_t given, std::size_t wanted) {
  const bool more = function.parameters.ends_with('*');
  const std::size_t least = more ? wanted - 1 : wanted;
  if (given < least || (given > wanted && !more))
    throw ValueError(cat("function ", function.name, " takes ", more ? "at least " : "", least, " argument",
                         least == 1 ? "" : "s", ", not ", given));
}

}  // namespace

const Function* find_function(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : found->second;
}

std::vector<std::string> function_names() {
  std::vector<std::string> out = {"can", "convert", "try"};
  for (const auto& [name, _] : table()) out.emplace_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

Value call_function(const Function& function, Values arguments) {
  const std::vector<Parameter> parameters = parameters_of(function.parameters);
  check_count(function, arguments.size(), parameters.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Parameter& parameter = parameters[std::min(i, parameters.size() - 1)];
    if (arguments[i].is_null() && !parameter.null_taken)
      throw ValueError(cat("argument ", i + 1, " of ", function.name, " is null"));
    try {
      arguments[i] = convert(arguments[i], parameter.type);
    } catch (const ValueError& error) {
      throw ValueError(cat("invalid argument ", i + 1, " of ", function.name, ": ", error.what()));
    }
  }
  try {
    return function.call(arguments);
  } catch (const ValueError& error) {
    throw ValueError(cat(function.name, ": ", error.what()));
  }
}

std::int64_t whole_at(const Values& arguments, std::size_t at) {
  const auto number = arguments[at].as_number().whole();
  if (!number) throw ValueError(cat("argument ", at + 1, " is not a whole number"));
  return *number;
}

Value equal(const Value& a, const Value& b) { return Value::boolean(a == b); }

std::string to_text(const Value& value) {
  if (value.is_null()) throw ValueError("a null value does not fit into a string");
  return convert(value, Type::string()).as_string();
}

Value strings(const std::vector<std::string>& items) {
  Values out;
  for (const std::string& item : items) out.push_back(Value::string(item));
  return Value::list(Type::string(), std::move(out));
}

}  // namespace cbuild::bake::hcl
