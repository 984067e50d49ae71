// SPDX-License-Identifier: Apache-2.0
// Text for other readers: Go's %q (its exact output is part of messages and digests that BuildKit makes, too), the
// shell, a terminal, and base64. Text from outside must not move the cursor, reorder the line or hide characters, so
// the terminal form shows control and bidirectional characters by name.
#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"
#include "base/utf8.h"

namespace cbuild {

namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct RuneRange {
  char32_t first, last;
};

/// Assigned code points above ASCII that Go does not print: controls, formats, blanks other than ' ', private use.
constexpr std::array kUnprintable = {
    RuneRange{0x7f, 0xa0},       RuneRange{0xad, 0xad},       RuneRange{0x600, 0x605},     RuneRange{0x61c, 0x61c},
    RuneRange{0x6dd, 0x6dd},     RuneRange{0x70f, 0x70f},     RuneRange{0x890, 0x891},     RuneRange{0x8e2, 0x8e2},
    RuneRange{0x1680, 0x1680},   RuneRange{0x180e, 0x180e},   RuneRange{0x2000, 0x200f},   RuneRange{0x2028, 0x202f},
    RuneRange{0x205f, 0x206f},   RuneRange{0x3000, 0x3000},   RuneRange{0xd800, 0xf8ff},   RuneRange{0xfdd0, 0xfdef},
    RuneRange{0xfeff, 0xfeff},   RuneRange{0xfff0, 0xfffb},   RuneRange{0xfffe, 0xffff},   RuneRange{0x110bd, 0x110bd},
    RuneRange{0x110cd, 0x110cd}, RuneRange{0x1bca0, 0x1bca3}, RuneRange{0x1d173, 0x1d17a}, RuneRange{0xe0000, 0xe00ff},
    RuneRange{0xf0000, 0x10ffff}};

/// Characters that reorder or hide the text around them on a terminal.
constexpr std::array kDeceptive = {RuneRange{0x80, 0x9f},     RuneRange{0x61c, 0x61c},    RuneRange{0x200b, 0x200f},
                                   RuneRange{0x2028, 0x202e}, RuneRange{0x2060, 0x206f},  RuneRange{0xfeff, 0xfeff},
                                   RuneRange{0xfff9, 0xfffb}, RuneRange{0xe0000, 0xe007f}};

template <std::size_t n>
bool within(char32_t rune, const std::array<RuneRange, n>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const RuneRange& range) { return rune >= range.first && rune <= range.last; });
}

/// `value` in hex with at least `width` digits.
std::string hex(std::string_view prefix, int width, unsigned value) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%0*x", width, value);
  return cat(prefix, digits);
}

std::string quoted_rune(char32_t rune) {
  switch (rune) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\a':
      return "\\a";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\v':
      return "\\v";
    default:
      break;
  }
  if (rune < ' ' || rune == 0x7f) return hex("\\x", 2, rune);
  return rune < 0x10000 ? hex("\\u", 4, rune) : hex("\\U", 8, rune);
}

int base64_value(char c) {
  const std::size_t at = kBase64.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string go_quote(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text.substr(at));
    const std::string_view bytes = text.substr(at, rune.size);
    at += rune.size;
    if (!rune.valid)
      out += hex("\\x", 2, static_cast<unsigned char>(bytes[0]));
    else if (rune.value < ' ' || rune.value == '"' || rune.value == '\\' || within(rune.value, kUnprintable))
      out += quoted_rune(rune.value);
    else
      out += bytes;
  }
  return out + '"';
}

std::string shell_quote(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=@%+,").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  return cat('\'', replace_all(std::string(text), "'", "'\\''"), '\'');
}

std::string sanitize_for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text.substr(at));
    const std::string_view bytes = text.substr(at, rune.size);
    at += rune.size;
    if (!rune.valid)
      out += hex("\\x", 2, static_cast<unsigned char>(bytes[0]));
    else if (rune.value == '\n' || rune.value == '\t')
      out += bytes;
    else if (rune.value < ' ' || rune.value == 0x7f)
      out += {'^', static_cast<char>(rune.value ^ 0x40)};
    else if (within(rune.value, kDeceptive))
      out += cat("<U+", to_upper(hex("", 4, rune.value)), '>');
    else
      out += bytes;
  }
  return out;
}

std::string base64_encode(std::string_view data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < data.size(); at += 3) {
    const std::string_view group = data.substr(at, 3);
    unsigned bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) out += i <= group.size() ? kBase64[bits >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string symbols;
  std::copy_if(text.begin(), text.end(), std::back_inserter(symbols), [](char c) { return c != '\n' && c != '\r'; });
  if (symbols.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = symbols.ends_with("==") ? 2 : symbols.ends_with("=") ? 1 : 0;
  symbols.resize(symbols.size() - padding);
  std::string out;
  unsigned bits = 0, count = 0;
  for (const char c : symbols) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffff;
    if (++count == 4) {
      out += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      bits = count = 0;
    }
  }
  if (count >= 2) out += static_cast<char>(bits >> (6 * count - 8));
  if (count == 3) out += static_cast<char>(bits >> 2);
  return out;
}

}  // namespace cbuild
