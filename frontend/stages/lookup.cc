// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/lookup.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {
namespace {

void note(std::vector<std::string>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

WordUse look_up(const Text& word, const Variables& variables, char escape) {
  WordUse out;
  const Environment recording = [&](std::string_view name) -> std::optional<std::string> {
    const std::string* value = variables.find(name);
    note(value == nullptr ? out.unset : out.set, name);
    if (value == nullptr) return std::nullopt;
    return *value;
  };
  try {
    out.result = expand_word(word.value, recording, {.escape = escape}).text;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::input) throw;
  }
  return out;
}

std::string hint_for_unset(const Text& word, const Variables& variables, char escape) {
  const std::vector<std::string> names = variables.names();
  for (const std::string& name : look_up(word, variables, escape).unset) {
    if (const std::optional<std::string> near = suggest(name, names)) return cat("did you mean ", *near, "?");
  }
  return {};
}

}  // namespace cbuild::frontend
