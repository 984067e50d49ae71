// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// UTF-8 as BuildKit reads it: a byte that starts no valid sequence is one character, U+FFFD.
namespace cbuild::frontend::utf8 {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Rune {
  char32_t value = kReplacement;
  std::size_t width = 0;  ///< bytes; 0 only at the end of the text
};

/// The character at the front of `text`. Overlong forms, surrogates and values past U+10FFFF are invalid.
Rune decode(std::string_view text);
void append(std::string& out, char32_t rune);
bool valid(std::string_view text);
/// `text` with every invalid byte replaced by U+FFFD.
std::string sanitize(std::string_view text);

/// Unicode White_Space, letters (L*), and decimal digits (Nd).
bool is_space(char32_t rune);
bool is_letter(char32_t rune);
bool is_digit(char32_t rune);

std::string_view trim_left(std::string_view text);
std::string_view trim(std::string_view text);

}  // namespace cbuild::frontend::utf8
