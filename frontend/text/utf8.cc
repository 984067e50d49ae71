// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/utf8.h"

// The character tables of Spirit: read-only data that is touched only for text outside ASCII.
#include <boost/cstdint.hpp>
#include <boost/spirit/home/support/char_encoding/unicode/query.hpp>

#include "base/utf8.h"

namespace cbuild::frontend::utf8 {

Rune decode(std::string_view text) {
  if (text.empty()) return {};
  const cbuild::Rune rune = decode_rune(text);
  return {rune.value, rune.size};
}

void append(std::string& out, char32_t rune) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (rune < 0x80) return put(rune);
  if (rune < 0x800) {
    put(0xC0 | (rune >> 6));
    return put(0x80 | (rune & 0x3F));
  }
  if (rune < 0x10000) {
    put(0xE0 | (rune >> 12));
  } else {
    put(0xF0 | (rune >> 18));
    put(0x80 | ((rune >> 12) & 0x3F));
  }
  put(0x80 | ((rune >> 6) & 0x3F));
  put(0x80 | (rune & 0x3F));
}

bool valid(std::string_view text) {
  while (!text.empty()) {
    const cbuild::Rune rune = decode_rune(text);
    if (!rune.valid) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

std::string sanitize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = decode(text);
    append(out, rune.value);
    text.remove_prefix(rune.width);
  }
  return out;
}

bool is_space(char32_t rune) {
  if (rune < 0x80) return rune == ' ' || (rune >= '\t' && rune <= '\r');
  if (rune >= 0x2000 && rune <= 0x200A) return true;
  for (const char32_t space : {0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}) {
    if (rune == space) return true;
  }
  return false;
}

bool is_letter(char32_t rune) {
  if (rune < 0x80) return (rune | 0x20) >= 'a' && (rune | 0x20) <= 'z';
  namespace ucd = boost::spirit::ucd;
  return ucd::get_major_category(rune) == ucd::properties::letter;
}

bool is_digit(char32_t rune) {
  if (rune < 0x80) return rune >= '0' && rune <= '9';
  namespace ucd = boost::spirit::ucd;
  return ucd::get_category(rune) == ucd::properties::decimal_number;
}

std::string_view trim_left(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode(text);
    if (!is_space(rune.value)) break;
    text.remove_prefix(rune.width);
  }
  return text;
}

std::string_view trim(std::string_view text) {
  text = trim_left(text);
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const Rune rune = decode(text.substr(start));
    if (!is_space(rune.value) || start + rune.width != text.size()) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace cbuild::frontend::utf8
