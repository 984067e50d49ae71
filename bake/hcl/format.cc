// SPDX-License-Identifier: Apache-2.0
// Go's fmt verbs as format() of bake has them: a text is cut at each percent sign, and each verb takes its argument.
#include "bake/hcl/format.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "bake/hcl/functions.h"
#include "bake/hcl/letters.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

constexpr std::size_t kMaxWidth = 4096;

struct Verb {
  bool zero = false, sharp = false, plus = false, minus = false, space = false;
  std::optional<std::size_t> width, precision;
  std::size_t index = 0;
  char mode = 0;
};

std::optional<std::size_t> read_count(std::string_view text, std::size_t& pos) {
  const std::size_t begin = pos;
  while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') ++pos;
  if (pos == begin) return std::nullopt;
  const auto value = parse_int(text.substr(begin, pos - begin));
  if (!value || static_cast<std::size_t>(*value) > kMaxWidth) throw ValueError("width or precision is too large");
  return static_cast<std::size_t>(*value);
}

void read_flags(std::string_view text, std::size_t& pos, Verb& verb) {
  for (; pos < text.size(); ++pos) {
    if (text[pos] == '0')
      verb.zero = true;
    else if (text[pos] == '#')
      verb.sharp = true;
    else if (text[pos] == '+')
      verb.plus = true;
    else if (text[pos] == '-')
      verb.minus = true;
    else if (text[pos] == ' ')
      verb.space = true;
    else
      return;
  }
}

/// After "%". `next` is the argument to take unless the verb names one.
Verb read_verb(std::string_view text, std::size_t& pos, std::size_t next) {
  Verb verb;
  verb.index = next;
  read_flags(text, pos, verb);
  verb.width = read_count(text, pos);
  if (pos < text.size() && text[pos] == '.') {
    ++pos;
    verb.precision = read_count(text, pos);
    if (!verb.precision) throw ValueError("precision has no digits");
  }
  if (pos < text.size() && text[pos] == '[') {
    ++pos;
    const auto index = read_count(text, pos);
    if (!index || *index == 0 || pos >= text.size() || text[pos] != ']')
      throw ValueError("invalid index of an argument");
    verb.index = *index - 1;
    ++pos;
  }
  if (pos >= text.size()) throw ValueError("pattern ends within a verb");
  verb.mode = text[pos++];
  return verb;
}

std::string padded(const Verb& verb, std::string text, char pad) {
  const std::size_t size = characters(text).size();
  if (!verb.width || *verb.width <= size) return text;
  const std::string fill(*verb.width - size, verb.minus ? ' ' : pad);
  return verb.minus ? text + fill : fill + text;
}

/// With its sign first and zeros between the sign and the digits.
std::string signed_number(const Verb& verb, std::string digits) {
  std::string sign = verb.plus ? "+" : verb.space ? " " : "";
  if (digits.starts_with('-')) {
    sign = "-";
    digits.erase(0, 1);
  }
  if (verb.zero && !verb.minus && verb.width && *verb.width > sign.size() + digits.size())
    digits.insert(0, *verb.width - sign.size() - digits.size(), '0');
  return padded(verb, sign + digits, ' ');
}

std::string whole_text(const Verb& verb, const Number& number) {
  if (!number.is_whole()) throw ValueError(cat("%", verb.mode, " takes a whole number"));
  if (verb.mode == 'd') return signed_number(verb, number.text());
  std::string out = in_base(number, verb.mode == 'b' ? 2 : verb.mode == 'o' ? 8 : 16);
  return signed_number(verb, verb.mode == 'X' ? to_upper(out) : out);
}

/// Digits of %f: rounded to `precision` places, halves to even.
std::string fixed_text(const Number& number, std::size_t precision) {
  const auto shift = Number::parse("1" + std::string(precision, '0'));
  const auto scaled = shift ? calculate(Arithmetic::multiply, number, *shift) : std::nullopt;
  if (!scaled) throw ValueError("number is too large");
  const Number down = rounded(*scaled, Rounding::down);
  const auto rest = calculate(Arithmetic::subtract, *scaled, down);
  const int order = rest ? compare(*rest, *Number::parse("0.5")) : -1;
  const bool odd = (down.text().back() - '0') % 2 != 0;
  const Number whole = order > 0 || (order == 0 && odd) ? *calculate(Arithmetic::add, down, Number(1)) : down;
  std::string digits = whole.text();
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  if (digits.size() <= precision) digits.insert(0, precision + 1 - digits.size(), '0');
  if (precision > 0) digits.insert(digits.size() - precision, ".");
  return (negative ? "-" : "") + digits;
}

std::string printed_double(const Verb& verb, const Number& number, char mode) {
  const bool upper = mode == 'E' || mode == 'G';
  const auto style = mode == 'e' || mode == 'E' ? std::chars_format::scientific : std::chars_format::general;
  std::string out(kMaxWidth + 64, '\0');
  const auto end = std::to_chars(out.data(), out.data() + out.size(), number.to_double(), style,
                                 static_cast<int>(verb.precision.value_or(6)));
  out.resize(static_cast<std::size_t>(end.ptr - out.data()));
  return upper ? to_upper(out) : out;
}

/// %g without a precision: the shortest text, with an exponent if that is large.
std::string shortest_text(const Number& number) {
  const std::string& text = number.text();
  const bool negative = text.starts_with('-');
  std::string digits;
  for (const char c : text)
    if (c >= '0' && c <= '9') digits += c;
  const auto first = digits.find_first_not_of('0');
  if (first == std::string::npos) return text;
  const auto dot = text.find('.');
  const std::int64_t whole =
      static_cast<std::int64_t>((dot == std::string::npos ? text.size() : dot) - (negative ? 1 : 0));
  const std::int64_t exponent = whole - 1 - static_cast<std::int64_t>(first);
  digits = digits.substr(first, digits.find_last_not_of('0') - first + 1);
  const std::int64_t limit = std::max<std::int64_t>(21, static_cast<std::int64_t>(digits.size()));
  if (exponent >= -4 && exponent < limit) return text;
  const std::string power = std::to_string(exponent < 0 ? -exponent : exponent);
  return cat(negative ? "-" : "", digits.substr(0, 1), digits.size() > 1 ? "." : "", digits.substr(1),
             exponent < 0 ? "e-" : "e+", power.size() < 2 ? "0" : "", power);
}

std::string number_text(const Verb& verb, const Value& argument) {
  const Number number = convert(argument, Type::number()).as_number();
  if (std::string_view("bdoxX").find(verb.mode) != std::string_view::npos) return whole_text(verb, number);
  if (verb.mode == 'f') return signed_number(verb, fixed_text(number, verb.precision.value_or(6)));
  if ((verb.mode == 'g' || verb.mode == 'G') && !verb.precision) {
    const std::string out = shortest_text(number);
    return signed_number(verb, verb.mode == 'G' ? to_upper(out) : out);
  }
  return signed_number(verb, printed_double(verb, number, verb.mode));
}

std::string string_text(const Verb& verb, const Value& argument) {
  std::string text = convert(argument, Type::string()).as_string();
  if (verb.precision && *verb.precision > 0) {
    std::string cut;
    const auto parts = characters(text);
    for (std::size_t i = 0; i < std::min(parts.size(), *verb.precision); ++i) cut += parts[i];
    text = cut;
  }
  return padded(verb, verb.mode == 'q' ? json_string(text) : text, verb.zero ? '0' : ' ');
}

std::string as_is(const Verb& verb, const Value& argument) {
  const char pad = verb.zero ? '0' : ' ';
  if (verb.sharp || argument.is_null()) return padded(verb, to_json(argument), pad);
  if (argument.is_string()) return padded(verb, argument.as_string(), pad);
  if (argument.kind() == Type::Kind::number) return padded(verb, shortest_text(argument.as_number()), pad);
  return padded(verb, to_json(argument), pad);
}

std::string one(const Verb& verb, std::span<const Value> arguments) {
  if (verb.index >= arguments.size())
    throw ValueError(
        cat("not enough arguments for %", verb.mode, ": it needs argument ", verb.index + 1, " of ", arguments.size()));
  const Value& argument = arguments[verb.index];
  if (verb.mode == 'v') return as_is(verb, argument);
  if (argument.is_null()) throw ValueError(cat("%", verb.mode, " takes no null value"));
  if (verb.mode == 't') return convert(argument, Type::boolean()).as_bool() ? "true" : "false";
  if (verb.mode == 's' || verb.mode == 'q') return string_text(verb, argument);
  if (std::string_view("bdoxXeEfgG").find(verb.mode) != std::string_view::npos) return number_text(verb, argument);
  throw ValueError(cat("unknown verb %", verb.mode));
}

}  // namespace

std::string format(const std::string& pattern, std::span<const Value> arguments) {
  std::string out;
  std::size_t next = 0, used = 0;
  bool named = false;
  for (std::size_t pos = 0; pos < pattern.size();) {
    if (pattern[pos] != '%') {
      out += pattern[pos++];
      continue;
    }
    if (pattern.substr(pos, 2) == "%%") {
      out += '%';
      pos += 2;
      continue;
    }
    const Verb verb = read_verb(pattern, ++pos, next);
    named = named || verb.index != next;
    out += one(verb, arguments);
    next = verb.index + 1;
    used = std::max(used, next);
  }
  if (used < arguments.size() && !named)
    throw ValueError(cat("too many arguments: the pattern uses ", used, " of ", arguments.size()));
  return out;
}

}  // namespace cbuild::bake::hcl
