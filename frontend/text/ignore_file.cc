// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/ignore_file.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/text/lines.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

std::string clean_pattern(std::string_view pattern) {
  if (pattern.empty()) return {};
  std::string clean = clean_path(pattern);
  if (clean.size() > 1 && clean.front() == '/') clean.erase(0, 1);
  return clean;
}

}  // namespace

std::vector<std::string> parse_ignore_file(std::string_view text) {
  std::vector<std::string> patterns;
  text.remove_prefix(bom_length(text));
  while (!text.empty()) {
    const std::size_t newline = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(std::min(newline + 1, text.size()));
    if (line.starts_with('#')) continue;
    std::string_view pattern = utf8::trim(line);
    if (pattern.empty()) continue;
    const bool negated = pattern.starts_with('!');
    if (negated) pattern = utf8::trim(pattern.substr(1));
    patterns.push_back((negated ? "!" : "") + clean_pattern(pattern));
  }
  return patterns;
}

}  // namespace cbuild::frontend
