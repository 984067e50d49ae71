// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/text/grammar.h"

namespace cbuild::frontend {

struct JsonString {
  Range range;        ///< with its quotes
  std::string value;  ///< decoded
};

/// The JSON (exec) form of arguments, by the rules of Go's encoding/json: an array of nothing but strings. Escapes \u
/// of half a surrogate pair and invalid UTF-8 become U+FFFD. nullopt for any other text, which then is the shell form.
/// Throws Error{input} for an array that is valid JSON and holds something else than strings.
std::optional<std::vector<JsonString>> parse_json_form(std::string_view text);

/// Whether `text` is one JSON value that Go decodes without an error (nesting up to 10,000, numbers within a double).
bool is_json_value(std::string_view text);

}  // namespace cbuild::frontend
