// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace cbuild {

/// Go's strconv.ParseBool: 1, t, T, true, TRUE, True and their opposites; nullopt for anything else.
std::optional<bool> parse_bool(std::string_view text);

/// One of the words that a flag or a key takes, and its value.
template <typename T>
struct Word {
  std::string_view name;
  T value;
};

template <typename T, std::size_t N>
std::optional<T> find_word(const Word<T> (&words)[N], std::string_view name) {
  for (const Word<T>& word : words)
    if (word.name == name) return word.value;
  return std::nullopt;
}

/// The word for a value; empty if there is none.
template <typename T, std::size_t N>
std::string_view word_for(const Word<T> (&words)[N], const T& value) {
  for (const Word<T>& word : words)
    if (word.value == value) return word.name;
  return {};
}

template <typename T, std::size_t N>
std::vector<std::string> names_of(const Word<T> (&words)[N]) {
  std::vector<std::string> names;
  for (const Word<T>& word : words) names.emplace_back(word.name);
  return names;
}

/// The hint for a word that is none of `known`: "did you mean X?", or "KINDS: " and all of them.
std::string word_hint(std::string_view word, std::span<const std::string> known, std::string_view kinds);

}  // namespace cbuild
