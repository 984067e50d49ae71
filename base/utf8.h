// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace cbuild {

/// One decoded character of a byte string.
struct Rune {
  char32_t value = 0xfffd;  ///< U+FFFD where the bytes are not UTF-8
  std::uint8_t size = 1;    ///< bytes taken; 1 for an invalid byte
  bool valid = false;
};

/// Decodes the first character of a non-empty text. Overlong forms, surrogates and values above U+10FFFF are invalid;
/// an invalid sequence takes one byte, as in Go.
Rune decode_rune(std::string_view text);

/// The number of columns a text without control characters takes on a terminal, one per code point.
std::size_t count_runes(std::string_view text);

}  // namespace cbuild
