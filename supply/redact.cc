// SPDX-License-Identifier: Apache-2.0
#include "supply/redact.h"

#include <optional>

#include "base/text.h"
#include "base/url_parts.h"

namespace cbuild::supply {

std::string without_credentials(std::string_view url) {
  const std::optional<UrlParts> parts = split_url(url);
  if (!parts || !parts->user_info) return std::string(url);
  const std::size_t colon = parts->user_info->find(':');
  std::string mask = parts->user_info->empty() || colon == 0 ? "" : "xxxxx";
  if (colon != std::string_view::npos) mask += ":xxxxx";
  return cat(parts->scheme, "://", mask, "@", parts->authority, parts->path, parts->query, parts->fragment);
}

std::string without_texts(std::string text, std::span<const std::string> hidden) {
  constexpr std::size_t kShortest = 6;
  for (const std::string& part : hidden)
    if (part.size() >= kShortest) text = replace_all(std::move(text), part, "***");
  return text;
}

}  // namespace cbuild::supply
