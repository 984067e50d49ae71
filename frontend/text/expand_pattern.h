// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Most bytes one expansion may produce on its way; a Dockerfile of a few lines could double a value until memory ends.
inline constexpr std::size_t kMaxExpansion = std::size_t{16} << 20;
[[noreturn]] void fail_expansion_too_large();

/// The patterns of `${n#p}` and its kin: `*` is any text and `?` any character, both within one line; everything else
/// is literal, `\*`, `\?` and `\\` included; `\}` and `\/` stand for '}' and '/'. Matching is never exponential.
class WordPattern {
 public:
  /// Throws Error{input} "invalid escape '\x'".
  explicit WordPattern(std::string_view pattern);

  std::string trim_prefix(std::string_view value, bool longest) const;
  std::string trim_suffix(std::string_view value, bool longest) const;
  /// Puts `replacement` in the place of the leftmost, then longest match.
  std::string replace_first(std::string_view value, std::string_view replacement) const;
  /// Replaces every match that does not overlap the one before. `replacement` is a template of Go's regexp package:
  /// `$0` is the match, `$1` and `$name` are empty, `$$` is '$'. Throws Error{input} when the result passes
  /// kMaxExpansion.
  std::string replace_all(std::string_view value, std::string_view replacement) const;

 private:
  using Segment = std::u32string;
  struct Match {
    std::size_t begin, end;
  };

  static bool fits(const Segment& segment, std::u32string_view value, std::size_t at);
  static std::optional<std::size_t> find(const Segment& segment, std::u32string_view value, std::size_t from,
                                         bool rightmost);
  std::optional<std::size_t> match_rest(std::u32string_view value, std::size_t from, bool longest) const;
  std::optional<Match> search(std::u32string_view value, std::size_t from) const;
  WordPattern reversed() const;

  std::vector<Segment> segments_;  ///< the pieces between the stars; kAny for `?`
};

}  // namespace cbuild::frontend
