// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/pattern/rune_set.h"

/// The engine behind PathPatternList; not for other modules.
namespace cbuild::detail {

/// One part of a pattern in sequence.
struct PatternElement {
  enum class Kind {
    one,           ///< one character of the set
    optional,      ///< at most one character of the set
    star,          ///< any number of characters of the set
    directories,   ///< nothing, or any text without line ends up to and with a '/'
    text_begin,    ///< nothing, at the begin of the text
    text_end,      ///< nothing, at the end of the text
    word_edge,     ///< nothing, between a word character and none
    no_word_edge,  ///< nothing, elsewhere
  };
  Kind kind = Kind::one;
  RuneSet set = {};
};

/// Matches a whole text against a sequence of elements by following all alternatives at once, one bit each: the time is
/// (length of the text) x (elements / 64), whatever the pattern. Immutable, thread-safe.
class PatternAutomaton {
 public:
  explicit PatternAutomaton(std::vector<PatternElement> elements);
  bool matches(std::string_view text) const;

 private:
  using Words = std::vector<std::uint64_t>;
  struct Masks {
    const std::uint64_t* one;
    const std::uint64_t* star;
  };

  template <typename State>
  bool run(std::string_view text, State state, State directories, State scratch) const;
  template <typename State>
  void close(State& state, const State& skippable) const;
  template <typename State>
  State skippable_at(char32_t before, char32_t after, State blank) const;
  void index_element(std::uint32_t at);
  void add_to_masks(std::uint32_t at, std::uint64_t* one, std::uint64_t* star) const;
  void fill_masks(char32_t rune, std::uint64_t* one, std::uint64_t* star) const;

  std::vector<PatternElement> elements_;
  std::size_t words_;
  Words ascii_masks_;  ///< for each of 128 characters: words_ of `one`, then words_ of `star`
  Words other_masks_;  ///< the same for the other characters, of elements that tell none of them apart
  std::vector<std::pair<char32_t, std::uint32_t>> other_literals_;  ///< sorted: elements of one such character
  std::vector<std::uint32_t> other_sets_;                           ///< elements that have to be asked
  Words skippable_, directories_;
  bool has_assertions_ = false;
};

/// How moby/patternmatcher tests a pattern: by comparing, or by a regular expression made of it.
struct CompiledPattern {
  enum class Type { exact, prefix, suffix, expression } type = Type::exact;
  /// For Type::expression: the whole text has to match one of these.
  std::vector<std::vector<PatternElement>> alternatives;
};

/// nullopt when the pattern cannot be made into a regular expression.
std::optional<CompiledPattern> compile_pattern(std::string_view pattern);

}  // namespace cbuild::detail
