// SPDX-License-Identifier: Apache-2.0
#include "base/suggestion.h"

#include "base/text.h"

namespace cbuild {

bool is_suggestion(std::string_view hint) { return hint.starts_with("did you mean ") && hint.ends_with('?'); }

std::string with_suggestion(std::string_view message, std::string_view hint) {
  return is_suggestion(hint) ? cat(message, " (", hint, ")") : std::string(message);
}

}  // namespace cbuild
