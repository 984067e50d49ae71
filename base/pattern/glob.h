// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/pattern/rune_set.h"

/// The compiled form behind match_glob() and PathGlob; not for other modules.
namespace cbuild::detail {

class Glob {
 public:
  explicit Glob(std::string_view pattern);
  bool malformed() const { return malformed_; }
  /// nullopt when the pattern is malformed and, as in Go, the path does not fail before the star that precedes the
  /// mistake.
  std::optional<bool> matches(std::string_view path) const;

 private:
  struct Token {
    enum class Kind { text, any, set } kind;
    std::string text;
    RuneSet set;
  };
  /// Tokens up to the next `*`; `after_star` if one stands before them.
  struct Chunk {
    bool after_star = false;
    std::vector<Token> tokens;
  };

  bool append(std::string_view& pattern);
  static std::optional<Token> parse_set(std::string_view& pattern);
  static std::optional<char32_t> parse_set_rune(std::string_view& pattern);
  static std::optional<std::string_view> match_chunk(const Chunk& chunk, std::string_view text);

  std::vector<Chunk> chunks_;
  bool malformed_ = false;  ///< somewhere in the last chunk
};

}  // namespace cbuild::detail
