// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cbuild::bake::hcl {

/// A number of HCL: a binary fraction of 512 bits, kept as the shortest decimal text that reads back as itself, which
/// is how it is printed. Two numbers are equal if their texts are. Immutable.
class Number {
 public:
  Number() : text_("0") {}
  explicit Number(std::int64_t value);
  /// Decimal digits with an optional sign, fraction and exponent, no blanks. nullopt for anything else, and for numbers
  /// with more than 4,096 digits or an exponent beyond that.
  static std::optional<Number> parse(std::string_view text);
  static std::optional<Number> from_double(double value);  ///< nullopt for infinities and NaN

  /// Without exponent: "-12.5".
  const std::string& text() const { return text_; }
  /// nullopt unless whole and within range.
  std::optional<std::int64_t> whole() const;
  bool is_whole() const;
  double to_double() const;

  bool operator==(const Number&) const = default;

 private:
  std::string text_;
};

/// Negative, 0 or positive.
int compare(const Number& a, const Number& b);

enum class Arithmetic { add, subtract, multiply, divide, modulo };

/// nullopt for a division by zero and for results of more than 4,096 digits. The remainder has the sign of `a`.
std::optional<Number> calculate(Arithmetic operation, const Number& a, const Number& b);

enum class Rounding { down, up, towards_zero };
Number rounded(const Number& number, Rounding rounding);

/// Digits of a whole number in base 2 to 62, digits and letters as Go's big.Int has them. nullopt if it is none.
std::optional<Number> parse_whole(std::string_view text, int base);
/// A whole number in base 2, 8 or 16, lower case; a fraction is cut off.
std::string in_base(const Number& number, int base);

}  // namespace cbuild::bake::hcl
