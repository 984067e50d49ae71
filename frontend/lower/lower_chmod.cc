// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_chmod.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::frontend {

namespace {

bool is_octal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
}

bool is_small_octal(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  return text.size() <= 4 && is_octal(text);
}

void skip_any(std::string_view& text, std::string_view set) {
  text.remove_prefix(std::min(text.find_first_not_of(set), text.size()));
}

/// [ugoa]* then one or more of [+-=][rwxXstugo]*.
bool is_clause(std::string_view text) {
  skip_any(text, "ugoa");
  if (text.empty()) return false;
  while (!text.empty()) {
    if (std::string_view("+-=").find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    skip_any(text, "rwxXstugo");
  }
  return true;
}

}  // namespace

void check_chmod(std::string_view mode) {
  if (mode.empty() || is_small_octal(mode)) return;
  if (mode.front() >= '0' && mode.front() <= '9') {
    throw Error(ErrorCode::input,
                cat("invalid chmod parameter: '", mode, "'. it should be octal string and between 0 and 07777"));
  }
  for (const std::string& clause : split(mode, ',')) {
    if (!is_clause(clause)) {
      throw Error(ErrorCode::input, "invalid syntax")
          .with_hint(cat("--chmod takes an octal number (755) or a symbolic mode (u=rwX,go=rX), not ", go_quote(mode)));
    }
  }
}

}  // namespace cbuild::frontend
