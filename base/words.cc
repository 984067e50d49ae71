// SPDX-License-Identifier: Apache-2.0
#include "base/words.h"

#include <algorithm>
#include <iterator>

namespace cbuild {

std::optional<bool> parse_bool(std::string_view text) {
  static constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
  static constexpr std::string_view kFalse[] = {"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(std::begin(kTrue), std::end(kTrue), text) != std::end(kTrue)) return true;
  if (std::find(std::begin(kFalse), std::end(kFalse), text) != std::end(kFalse)) return false;
  return std::nullopt;
}

std::string word_hint(std::string_view word, std::span<const std::string> known, std::string_view kinds) {
  if (const auto near = suggest(word, known)) return cat("did you mean ", *near, "?");
  return cat(kinds, ": ", join({known.begin(), known.end()}, ", "));
}

}  // namespace cbuild
