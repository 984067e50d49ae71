// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The context-free parts of the language. Every function looks at one piece of text, has no state, and gives places as
/// byte offsets into that text.
namespace cbuild::frontend {

struct Range {
  std::size_t begin = 0, end = 0;
  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

/// One "--name=value" word in front of the arguments.
struct FlagWord {
  Range range;       ///< as written
  std::string word;  ///< quotes removed, escapes processed
};
struct FlagsPrefix {
  std::vector<FlagWord> flags;
  std::size_t rest = 0;  ///< where the arguments begin; blanks may stand in front of them
};
/// The words that start with "--", up to the first other word or past a word "--".
FlagsPrefix parse_flags(std::string_view text, char escape);

/// Words between blanks, no quoting (FROM, EXPOSE, COPY, VOLUME).
std::vector<Range> split_blanks(std::string_view text);
/// Words between blanks that are neither quoted nor escaped (ENV, LABEL, ARG). Quotes and escapes stay in the words; a
/// lone escape character at the end of the text is dropped, a quote that is never closed ends with the text.
std::vector<Range> split_quoted(std::string_view text, char escape);

/// "[n]<<[-] word".
struct HeredocOperator {
  Range descriptor;
  bool strip_tabs = false;
  Range word;  ///< with its quotes; may be empty
};
std::optional<HeredocOperator> parse_heredoc_operator(std::string_view word);

/// "TYPE rest" of HEALTHCHECK; an empty type if there is no text.
struct TypeAndRest {
  Range type;
  std::size_t rest = 0;
};
TypeAndRest parse_healthcheck(std::string_view text);

/// "name = value" of a parser directive, after its comment mark.
struct DirectiveParts {
  Range name, value;
};
std::optional<DirectiveParts> parse_directive(std::string_view text);

/// The fields of one CSV record as Go's encoding/csv reads it. Throws Error{input} with its texts.
std::vector<std::string> parse_csv(std::string_view record);

/// The part of a variable reference after its '$'.
struct VariableReference {
  std::string_view name;  ///< may be empty in braces
  bool braced = false;
  std::string_view
      modifier;            ///< in braces: the character after the name, or ':' and the one after it; empty at the end
  std::size_t length = 0;  ///< bytes from after the '$' up to the end of the modifier
};
/// nullopt if no name and no '{' follows.
std::optional<VariableReference> parse_reference(std::string_view text);

}  // namespace cbuild::frontend
