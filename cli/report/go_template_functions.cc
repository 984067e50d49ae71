// SPDX-License-Identifier: Apache-2.0
// The functions of Go's text/template and those that docker adds to it, one row each in a table; values are JSON, and
// are printed as Go prints them.
#include "cli/report/go_template_functions.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using Value = nlohmann::ordered_json;
using Arguments = std::vector<Value>;

[[noreturn]] void wrong(const std::string& why) { throw Error(ErrorCode::usage, why); }

std::string text_of(const Value& value, const char* function) {
  if (!value.is_string()) wrong(cat(function, ": ", template_text(value), " is not a string"));
  return value.get<std::string>();
}

Value call_index(const Arguments& arguments) {
  Value value = arguments.at(0);
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const Value& key = arguments[i];
    if (value.is_object() && key.is_string()) {
      const auto found = value.find(key.get<std::string>());
      value = found == value.end() ? Value() : Value(*found);
    } else if (value.is_array() && key.is_number_integer()) {
      const auto at = key.get<std::int64_t>();
      if (at < 0 || static_cast<std::size_t>(at) >= value.size()) wrong(cat("index: ", at, " is out of range"));
      value = Value(value[static_cast<std::size_t>(at)]);
    } else if (!value.is_null()) {
      wrong("index: this value has no such element");
    }
  }
  return value;
}

Value call_join(const Arguments& arguments) {
  if (!arguments.at(0).is_array()) wrong("join: the first argument is not a list");
  std::vector<std::string> parts;
  for (const Value& part : arguments[0]) parts.push_back(template_text(part));
  return join(parts, text_of(arguments.at(1), "join"));
}

Value call_printf(const Arguments& arguments) {
  const std::string format = text_of(arguments.at(0), "printf");
  std::string out;
  std::size_t used = 1;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char verb = format[++i];
    if (verb == '%') {
      out += '%';
      continue;
    }
    if (std::string_view("svdq").find(verb) == std::string_view::npos) wrong(cat("printf: %", verb, " is not known"));
    const std::string text = used < arguments.size() ? template_text(arguments[used++]) : "%!(MISSING)";
    out += verb == 'q' ? go_quote(text) : text;
  }
  return out;
}

Value printed(const Arguments& arguments, const char* between, const char* end) {
  std::vector<std::string> parts;
  for (const Value& argument : arguments) parts.push_back(template_text(argument));
  return join(parts, between) + end;
}

Value call_and_or(const Arguments& arguments, bool stop_at) {
  for (const Value& argument : arguments)
    if (is_template_true(argument) == stop_at) return argument;
  return arguments.back();
}

struct Function {
  std::string_view name;
  std::size_t least, most;
  Value (*call)(const Arguments& arguments);
};

constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
constexpr Function kFunctions[] = {
    {"and", 1, kAny, [](const Arguments& a) { return call_and_or(a, false); }},
    {"eq", 2, kAny,
     [](const Arguments& a) {
       return Value(std::any_of(a.begin() + 1, a.end(), [&](const Value& other) { return other == a[0]; }));
     }},
    {"ge", 2, 2, [](const Arguments& a) { return Value(a[0] >= a[1]); }},
    {"gt", 2, 2, [](const Arguments& a) { return Value(a[0] > a[1]); }},
    {"index", 1, kAny, call_index},
    {"join", 2, 2, call_join},
    {"json", 1, 1, [](const Arguments& a) { return Value(a[0].dump(2, ' ', false, Value::error_handler_t::replace)); }},
    {"le", 2, 2, [](const Arguments& a) { return Value(a[0] <= a[1]); }},
    {"len", 1, 1,
     [](const Arguments& a) {
       return Value(static_cast<std::int64_t>(a[0].is_string() ? a[0].get<std::string>().size() : a[0].size()));
     }},
    {"lower", 1, 1, [](const Arguments& a) { return Value(to_lower(text_of(a[0], "lower"))); }},
    {"lt", 2, 2, [](const Arguments& a) { return Value(a[0] < a[1]); }},
    {"ne", 2, 2, [](const Arguments& a) { return Value(a[0] != a[1]); }},
    {"not", 1, 1, [](const Arguments& a) { return Value(!is_template_true(a[0])); }},
    {"or", 1, kAny, [](const Arguments& a) { return call_and_or(a, true); }},
    {"print", 0, kAny, [](const Arguments& a) { return printed(a, "", ""); }},
    {"printf", 1, kAny, call_printf},
    {"println", 0, kAny, [](const Arguments& a) { return printed(a, " ", "\n"); }},
    {"split", 2, 2,
     [](const Arguments& a) {
       const std::string by = text_of(a[1], "split");
       if (by.size() != 1) wrong("split: the separator is not one character");
       return Value(split(text_of(a[0], "split"), by[0]));
     }},
    {"upper", 1, 1, [](const Arguments& a) { return Value(to_upper(text_of(a[0], "upper"))); }},
};

}  // namespace

std::string template_text(const Value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_structured()) return value.dump();
  std::vector<std::string> parts;
  for (const auto& [key, member] : value.items())
    parts.push_back(value.is_object() ? cat(key, ":", template_text(member)) : template_text(member));
  return cat(value.is_object() ? "map[" : "[", join(parts, " "), "]");
}

bool is_template_true(const Value& value) {
  if (value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value != Value(0);
  return value.is_string() ? !value.get<std::string>().empty() : !value.empty();
}

Value call_template_function(const std::string& name, const Arguments& arguments) {
  for (const Function& function : kFunctions) {
    if (function.name != name) continue;
    if (arguments.size() < function.least || arguments.size() > function.most)
      wrong(cat(name, ": wrong number of arguments"));
    return function.call(arguments);
  }
  std::vector<std::string> names;
  for (const Function& function : kFunctions) names.emplace_back(function.name);
  const auto near = suggest(name, names);
  wrong(cat("the function ", go_quote(name), " is not known", near ? cat("; did you mean ", *near, "?") : ""));
}

}  // namespace cbuild::cli
