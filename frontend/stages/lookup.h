// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "frontend/stages/scope.h"
#include "frontend/syntax/ast.h"

namespace cbuild::frontend {

/// An expansion with the variables it looked up, each once, in order of use.
struct WordUse {
  std::optional<std::string> result;  ///< nullopt: the word cannot be expanded
  std::vector<std::string> set, unset;
};

/// Expands `word` to find the variables it uses; a failure to expand is reported elsewhere.
WordUse look_up(const Text& word, const Variables& variables, char escape);

/// "did you mean NAME?" for the first variable of `word` that has no value and is near to one that has; else empty.
std::string hint_for_unset(const Text& word, const Variables& variables, char escape);

}  // namespace cbuild::frontend
