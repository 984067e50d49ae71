// SPDX-License-Identifier: Apache-2.0
#include "base/url_parts.h"

#include <algorithm>

#include "base/text.h"

namespace cbuild {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_scheme(std::string_view text) {
  const auto fits = [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; };
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), fits);
}

bool is_hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool begins_with_escape(std::string_view text) {
  return text.size() > 2 && text[0] == '%' && is_hex_digit(text[1]) && is_hex_digit(text[2]);
}

/// Cuts off the part that begins with one of `marks`.
std::string_view cut_at(std::string_view& text, std::string_view marks) {
  const std::size_t end = std::min(text.find_first_of(marks), text.size());
  const std::string_view rest = text.substr(end);
  text = text.substr(0, end);
  return rest;
}

}  // namespace

std::string_view UrlParts::host() const {
  const std::size_t bracket = authority.rfind(']');
  return authority.substr(0, authority.find(':', bracket == std::string_view::npos ? 0 : bracket));
}

std::optional<UrlParts> split_url(std::string_view text) {
  const std::size_t mark = text.find("://");
  if (mark == std::string_view::npos || !is_scheme(text.substr(0, mark))) return std::nullopt;
  UrlParts out;
  out.scheme = text.substr(0, mark);
  out.authority = text.substr(mark + 3);
  out.path = cut_at(out.authority, "/?#");
  out.query = cut_at(out.path, "?#");
  out.fragment = cut_at(out.query, "#");
  // The last one, as a password may hold others.
  if (const std::size_t at = out.authority.rfind('@'); at != std::string_view::npos) {
    out.user_info = out.authority.substr(0, at);
    out.authority.remove_prefix(at + 1);
  }
  return out;
}

std::string without_user_info(std::string_view text) {
  const std::optional<UrlParts> url = split_url(text);
  if (!url || !url->user_info) return std::string(text);
  return cat(url->scheme, "://", url->authority, url->path, url->query, url->fragment);
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = begins_with_escape(text.substr(i));
    out += escape ? static_cast<char>(parse_int(text.substr(i + 1, 2), 16).value_or(0)) : text[i];
    if (escape) i += 2;
  }
  return out;
}

bool has_whole_escapes(std::string_view text) {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1))
    if (!begins_with_escape(text.substr(at))) return false;
  return true;
}

}  // namespace cbuild
