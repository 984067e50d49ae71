// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/text/grammar.h"
#include "frontend/text/lines.h"

namespace cbuild::frontend {

/// A logical line, or the trigger in one, split into keyword, flags and arguments. Ranges are into the text of the
/// line, which outlives the statement.
struct Statement {
  std::shared_ptr<const SourceText> source;
  const LogicalLine* line = nullptr;
  char escape = '\\';
  Range keyword, rest;
  std::vector<Flag> flags;
  std::vector<Heredoc> heredocs;

  std::string_view view(Range part) const { return part.of(line->text); }
  Span span(Range part) const;
  Text text(Range part) const;
  /// A range found in rest as one of the line.
  Range in_rest(Range part) const { return {rest.begin + part.begin, rest.begin + part.end}; }
  /// Where a complaint about the arguments belongs: at them, or at the keyword if there are none.
  Span arguments_span() const { return span(rest.begin < rest.end ? rest : keyword); }
};

/// Splits the `part` of a line.
Statement split_statement(std::shared_ptr<const SourceText> source, const LogicalLine& line, Range part, char escape);

}  // namespace cbuild::frontend
