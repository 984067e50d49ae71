// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/text/grammar.h"

namespace cbuild::frontend {

/// Reads one word as a heredoc operator: name, descriptor, `<<-` and whether the body is expanded; no body, no spans.
/// nullopt if it is not a heredoc. The escape character is always a backslash. Throws Error{input} for quotes that do
/// not close.
std::optional<Heredoc> parse_heredoc(std::string_view word);

/// The same, but a word with open quotes is not a heredoc either (sources and destinations of COPY).
std::optional<Heredoc> try_parse_heredoc(std::string_view word);

struct HeredocOnLine {
  Heredoc heredoc;
  Range word;  ///< of the operator in the line; the whole line where quoting hides it
};
/// The heredocs that a logical line announces, in order. A line that is not well-formed shell text has none.
std::vector<HeredocOnLine> find_heredocs(std::string_view line);

/// `body` without the tabs at the start of each line.
std::string strip_leading_tabs(std::string_view body);

}  // namespace cbuild::frontend
