// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

const Number& number_at(const Values& arguments, std::size_t at) { return arguments[at].as_number(); }

template <Arithmetic kOperation>
Value arithmetic(const Values& arguments) {
  const auto result = calculate(kOperation, number_at(arguments, 0), number_at(arguments, 1));
  if (!result) throw ValueError(number_at(arguments, 1) == Number() ? "division by zero" : "result is too large");
  return Value::number(*result);
}

template <Rounding kRounding>
Value round_number(const Values& arguments) {
  return Value::number(rounded(number_at(arguments, 0), kRounding));
}

Number negated(const Number& number) { return calculate(Arithmetic::subtract, Number(), number).value_or(number); }

Value absolute(const Values& arguments) {
  const Number& number = number_at(arguments, 0);
  return Value::number(compare(number, Number()) < 0 ? negated(number) : number);
}

Value negate(const Values& arguments) { return Value::number(negated(number_at(arguments, 0))); }

Value greater(const Values& arguments) {
  return Value::boolean(compare(number_at(arguments, 0), number_at(arguments, 1)) > 0);
}
Value greater_equal(const Values& arguments) {
  return Value::boolean(compare(number_at(arguments, 0), number_at(arguments, 1)) >= 0);
}
Value lesser(const Values& arguments) {
  return Value::boolean(compare(number_at(arguments, 0), number_at(arguments, 1)) < 0);
}
Value less_equal(const Values& arguments) {
  return Value::boolean(compare(number_at(arguments, 0), number_at(arguments, 1)) <= 0);
}

Value extreme(const Values& arguments, int sign) {
  if (arguments.empty()) throw ValueError("at least one number is needed");
  Number out = number_at(arguments, 0);
  for (const Value& value : arguments)
    if (compare(value.as_number(), out) * sign > 0) out = value.as_number();
  return Value::number(out);
}
Value largest(const Values& arguments) { return extreme(arguments, 1); }
Value smallest(const Values& arguments) { return extreme(arguments, -1); }

Value from_double(double value) {
  const auto number = Number::from_double(value);
  if (!number) throw ValueError("result is not a finite number");
  return Value::number(*number);
}
Value logarithm(const Values& arguments) {
  return from_double(std::log(number_at(arguments, 0).to_double()) / std::log(number_at(arguments, 1).to_double()));
}
Value power(const Values& arguments) {
  return from_double(std::pow(number_at(arguments, 0).to_double(), number_at(arguments, 1).to_double()));
}

Value signum(const Values& arguments) {
  if (!number_at(arguments, 0).is_whole()) throw ValueError("value is not a whole number");
  const int order = compare(number_at(arguments, 0), Number());
  return Value::number(order < 0 ? -1 : order > 0 ? 1 : 0);
}

Value parse_integer(const Values& arguments) {
  const auto base = number_at(arguments, 1).whole();
  if (!arguments[0].is_string()) throw ValueError("first argument is not a string");
  if (!base || *base < 2 || *base > 62) throw ValueError("base is not a whole number between 2 and 62");
  const auto number = parse_whole(arguments[0].as_string(), static_cast<int>(*base));
  if (!number)
    throw ValueError(cat("cannot parse ", go_quote(arguments[0].as_string()), " as a number of base ", *base));
  return Value::number(*number);
}

Value logical_and(const Values& arguments) { return Value::boolean(arguments[0].as_bool() && arguments[1].as_bool()); }
Value logical_or(const Values& arguments) { return Value::boolean(arguments[0].as_bool() || arguments[1].as_bool()); }
Value logical_not(const Values& arguments) { return Value::boolean(!arguments[0].as_bool()); }
Value equals(const Values& arguments) { return equal(arguments[0], arguments[1]); }
Value not_equals(const Values& arguments) { return Value::boolean(!(arguments[0] == arguments[1])); }

constexpr Function kNumberFunctions[] = {
    {"absolute", "n", absolute},
    {"add", "nn", arithmetic<Arithmetic::add>},
    {"and", "bb", logical_and},
    {"ceil", "n", round_number<Rounding::up>},
    {"divide", "nn", arithmetic<Arithmetic::divide>},
    {"equal", "d?d?", equals},
    {"floor", "n", round_number<Rounding::down>},
    {"greaterthan", "nn", greater},
    {"greaterthanorequalto", "nn", greater_equal},
    {"int", "n", round_number<Rounding::towards_zero>},
    {"lessthan", "nn", lesser},
    {"lessthanorequalto", "nn", less_equal},
    {"log", "nn", logarithm},
    {"max", "n*", largest},
    {"min", "n*", smallest},
    {"modulo", "nn", arithmetic<Arithmetic::modulo>},
    {"multiply", "nn", arithmetic<Arithmetic::multiply>},
    {"negate", "n", negate},
    {"not", "b", logical_not},
    {"notequal", "d?d?", not_equals},
    {"or", "bb", logical_or},
    {"parseint", "dn", parse_integer},
    {"pow", "nn", power},
    {"signum", "n", signum},
    {"subtract", "nn", arithmetic<Arithmetic::subtract>},
};

}  // namespace

std::span<const Function> number_functions() { return kNumberFunctions; }

}  // namespace cbuild::bake::hcl
