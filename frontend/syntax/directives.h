// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/syntax/parser_report.h"

namespace cbuild::frontend {

struct DirectiveBlock {
  std::vector<Directive> directives;  ///< those in effect: escape, syntax, check, cbuild, in the order of the file
  char escape = '\\';
  bool includes = false;  ///< "# cbuild=include": INCLUDE is an instruction
  std::size_t end = 0;    ///< where the instructions begin: byte order mark and directive lines are behind
};

/// Reads the parser directives at the top of a file. Repeated ones and a wrong escape character are reported. A "#!"
/// line may stand in front of syntax and check, but not of escape, which the line reader has to know first.
DirectiveBlock read_directives(const std::shared_ptr<const SourceText>& source, Report& report);

/// The frontend a file asks for.
struct SyntaxDirective {
  std::string reference;     ///< first word of the value: an image
  std::string command_line;  ///< the whole value
  Span span;                 ///< of the line

  bool operator==(const SyntaxDirective& o) const { return reference == o.reference && command_line == o.command_line; }
};

/// Looks for "# syntax=", for "// syntax=", and for a JSON document with the member "syntax"; a "#!" line may stand
/// first.
std::optional<SyntaxDirective> detect_syntax(const std::shared_ptr<const SourceText>& source);

}  // namespace cbuild::frontend
