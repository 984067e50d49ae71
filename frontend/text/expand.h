// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Looks a variable up; nullopt means unset.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

struct ExpandOptions {
  char escape = '\\';
  bool raw_quotes = false;   ///< keep quote characters (step names, RUN display)
  bool skip_unset = false;   ///< leave $NAME of unset variables as it stands (step names)
  bool heredoc = false;      ///< heredoc body: quotes are data; an escaped character stands for itself, whatever it is
  bool raw_escapes = false;  ///< keep escape characters (looking for heredocs)
};

/// How deep `${a:-${b:-...}}` may go.
inline constexpr int kMaxNesting = 1000;

struct Expansion {
  std::string text;
  std::vector<std::string> unset;  ///< names that were used and not set, each once, in order of use
};

/// Word expansion of BuildKit (`$n`, `${n:-w}`, `${n#p}`, `${n/p/r}`, quotes, escapes), into one word. Throws
/// Error{input} with BuildKit's text: "unsupported modifier", "n: is not allowed to be unset", ... with the word
/// as context. The words inside `${}` are expanded whether they are needed or not. Nesting is bounded by kMaxNesting
/// and the text produced on the way by 16 MiB beyond the word itself; invalid UTF-8 in the word becomes U+FFFD.
Expansion expand_word(std::string_view word, const Environment& environment, const ExpandOptions& options);
/// The same, split into words at unquoted blanks that come from the text or from variables (EXPOSE).
std::vector<std::string> expand_words(std::string_view word, const Environment& environment,
                                      const ExpandOptions& options, std::vector<std::string>* unset = nullptr);

}  // namespace cbuild::frontend
