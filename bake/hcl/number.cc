// SPDX-License-Identifier: Apache-2.0
// Numbers as go-cty has them: binary fractions of 512 bits. The shortest decimal text that reads back as the same
// fraction stands for it, so values stay small, compare as texts and print without another conversion. Only arithmetic
// goes through Boost.Multiprecision, whose headers no other file sees.
#include "bake/hcl/number.h"

#include <algorithm>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

namespace mp = boost::multiprecision;
using Fraction = mp::number<mp::cpp_bin_float<512, mp::digit_base_2>, mp::et_off>;

constexpr int kMaxDigits = 4096;
constexpr int kPrecision = 156;  // decimal digits that always tell 512 bits apart

/// Digits and the power of ten of the first: 12.5 is {"125", 1}. Zeros at the end are left out.
struct Decimal {
  bool negative = false;
  std::string digits;
  long exponent = 0;
};

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<long> read_exponent(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 6 || !all_digits(text)) return std::nullopt;
  const long value = std::strtol(std::string(text).c_str(), nullptr, 10);
  return negative ? -value : value;
}

std::optional<Decimal> read_decimal(std::string_view text) {
  Decimal out;
  out.negative = text.starts_with('-');
  if (out.negative || text.starts_with('+')) text.remove_prefix(1);
  long exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    const auto value = read_exponent(text.substr(e + 1));
    if (!value) return std::nullopt;
    exponent = *value;
    text = text.substr(0, e);
  }
  const auto dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string_view part = dot == std::string_view::npos ? "" : text.substr(dot + 1);
  if (whole.size() + part.size() == 0 || !all_digits(whole) || !all_digits(part)) return std::nullopt;
  out.digits = cat(whole, part);
  out.exponent = static_cast<long>(whole.size()) - 1 + exponent;
  const auto first = out.digits.find_first_not_of('0');
  if (first == std::string::npos) return Decimal{false, "", 0};
  out.digits.erase(0, first);
  out.exponent -= static_cast<long>(first);
  out.digits.erase(out.digits.find_last_not_of('0') + 1);
  return out;
}

std::string plain(const Decimal& number) {
  if (number.digits.empty()) return "0";
  std::string out = number.negative ? "-" : "";
  const long count = static_cast<long>(number.digits.size());
  if (number.exponent < 0)
    return out + "0." + std::string(static_cast<std::size_t>(-number.exponent - 1), '0') + number.digits;
  const long whole = number.exponent + 1;
  if (count <= whole) return out + number.digits + std::string(static_cast<std::size_t>(whole - count), '0');
  return out + number.digits.substr(0, static_cast<std::size_t>(whole)) + "." +
         number.digits.substr(static_cast<std::size_t>(whole));
}

bool fits(const Decimal& number) {
  return number.digits.size() <= kMaxDigits && number.exponent < kMaxDigits && number.exponent > -kMaxDigits;
}

std::string printed(const Fraction& value, int digits) {
  return value.str(digits - 1, std::ios_base::scientific);  // digits after the point
}

/// The shortest text that reads back: the number of digits is searched in halves, since more digits never read worse.
std::optional<std::string> shortest(const Fraction& value) {
  int low = 2, high = kPrecision;  // 1 digit after the point at least: the library takes 0 for all of them
  while (low < high) {
    const int middle = (low + high) / 2;
    if (Fraction(printed(value, middle)) == value)
      high = middle;
    else
      low = middle + 1;
  }
  const auto decimal = read_decimal(printed(value, high));
  if (!decimal || !fits(*decimal)) return std::nullopt;
  return plain(*decimal);
}

Fraction fraction(const Number& number) { return Fraction(number.text()); }

std::optional<Number> number_of(const Fraction& value) {
  if (!mp::isfinite(value)) return std::nullopt;
  const auto text = shortest(value);
  return text ? Number::parse(*text) : std::nullopt;
}

/// Whole numbers that are small enough for a product in 64 bits: nearly all there are.
std::optional<std::int64_t> small(const Number& number) {
  return number.text().size() <= 9 ? number.whole() : std::nullopt;
}

std::optional<Number> calculate_small(Arithmetic operation, std::int64_t a, std::int64_t b) {
  switch (operation) {
    case Arithmetic::add:
      return Number(a + b);
    case Arithmetic::subtract:
      return Number(a - b);
    case Arithmetic::multiply:
      return Number(a * b);
    case Arithmetic::modulo:
      return b == 0 ? std::nullopt : std::optional(Number(a % b));
    case Arithmetic::divide:
      break;
  }
  return b != 0 && a % b == 0 ? std::optional(Number(a / b)) : std::nullopt;
}

}  // namespace

Number::Number(std::int64_t value) : text_(std::to_string(value)) {}

std::optional<Number> Number::parse(std::string_view text) {
  const auto decimal = read_decimal(text);
  if (!decimal || !fits(*decimal)) return std::nullopt;
  Number out;
  out.text_ = plain(*decimal);
  if (decimal->digits.size() <= 150) return out;  // fewer digits than 512 bits have: the text is the shortest
  const auto short_text = shortest(Fraction(out.text_));
  if (!short_text) return std::nullopt;
  out.text_ = *short_text;
  return out;
}

std::optional<Number> Number::from_double(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  for (int digits = 1; digits <= 17; ++digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
    if (std::strtod(text, nullptr) == value) return parse(text);
  }
  return std::nullopt;
}

bool Number::is_whole() const { return text_.find('.') == std::string::npos; }

std::optional<std::int64_t> Number::whole() const { return is_whole() ? parse_int(text_) : std::nullopt; }

double Number::to_double() const { return std::strtod(text_.c_str(), nullptr); }

int compare(const Number& a, const Number& b) {
  if (a == b) return 0;
  if (const auto x = small(a), y = small(b); x && y) return *x < *y ? -1 : 1;
  return fraction(a) < fraction(b) ? -1 : 1;
}

std::optional<Number> calculate(Arithmetic operation, const Number& a, const Number& b) {
  if (const auto x = small(a), y = small(b); x && y)
    if (auto result = calculate_small(operation, *x, *y)) return result;
  const Fraction x = fraction(a), y = fraction(b);
  switch (operation) {
    case Arithmetic::add:
      return number_of(x + y);
    case Arithmetic::subtract:
      return number_of(x - y);
    case Arithmetic::multiply:
      return number_of(x * y);
    case Arithmetic::divide:
      if (y == 0) return std::nullopt;
      return number_of(x / y);
    case Arithmetic::modulo:
      if (y == 0) return std::nullopt;
      return number_of(x - y * mp::trunc(x / y));
  }
  return std::nullopt;
}

Number rounded(const Number& number, Rounding rounding) {
  if (number.is_whole()) return number;
  const Fraction value = fraction(number);
  const Fraction out = rounding == Rounding::down ? Fraction(mp::floor(value))
                       : rounding == Rounding::up ? Fraction(mp::ceil(value))
                                                  : Fraction(mp::trunc(value));
  return number_of(out).value_or(number);
}

std::optional<Number> parse_whole(std::string_view text, int base) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 512) return std::nullopt;
  mp::cpp_int value = 0;
  for (const char c : text) {
    int digit = 99;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') digit = c - 'A' + (base <= 36 ? 10 : 36);
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  if (negative) value = -value;
  return Number::parse(value.str());
}

std::string in_base(const Number& number, int base) {
  const Number whole = rounded(number, Rounding::towards_zero);
  const bool negative = whole.text().starts_with('-');
  mp::cpp_int value(negative ? whole.text().substr(1) : whole.text());
  if (value == 0) return "0";
  std::string out;
  while (value != 0) {
    out += "0123456789abcdef"[static_cast<std::size_t>(static_cast<int>(value % base))];
    value /= base;
  }
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace cbuild::bake::hcl
