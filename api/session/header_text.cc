// SPDX-License-Identifier: Apache-2.0
#include "api/session/header_text.h"

#include <algorithm>

namespace cbuild::api {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// Go's url.QueryEscape.
std::string query_escape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF", kPlain = "-_.~";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || kPlain.find(c) != std::string_view::npos) {
      result += c;
    } else if (c == ' ') {
      result += '+';
    } else {
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

}  // namespace

bool is_header_key(std::string_view key) {
  return !key.empty() &&
         std::ranges::all_of(key, [](char c) { return is_lower_or_digit(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_header_value(std::string_view value) {
  // Blanks at the ends get lost on the way.
  return !value.starts_with(' ') && !value.ends_with(' ') &&
         std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
}

HeaderValues encode_header_values(const std::vector<std::string>& values) {
  HeaderValues result{values, !std::ranges::all_of(values, is_header_value)};
  if (result.encoded) std::ranges::transform(values, result.values.begin(), query_escape);
  return result;
}

}  // namespace cbuild::api
