// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "bake/hcl/ast.h"
#include "base/diagnostic.h"

/// The parser's place in a text, and the steps that all its parts share.
namespace cbuild::bake::hcl {

struct Reader {
  std::shared_ptr<const SourceText> source;
  std::string_view text;  ///< of `source`, unless `place` is set
  Span place;             ///< where all of the text stands, of a string in JSON
  std::size_t pos = 0;
  bool newlines = true;  ///< a newline ends an expression; not inside of brackets
  unsigned depth = 0;

  bool at_end() const { return pos >= text.size(); }
  char peek(std::size_t ahead = 0) const { return pos + ahead < text.size() ? text[pos + ahead] : '\0'; }
  bool looking_at(std::string_view word) const { return text.substr(pos).starts_with(word); }
  Span span(std::size_t begin, std::size_t end) const;
  Span span_from(std::size_t begin) const { return span(begin, pos); }
};

/// Throws DiagnosticError with one error.
[[noreturn]] void fail(const Span& span, std::string message, std::string hint = "");
/// At the reader's place: the word or character there.
[[noreturn]] void fail_here(const Reader& reader, std::string message, std::string hint = "");

/// Blanks and comments, and newlines where they do not count.
void skip_blanks(Reader& reader);
/// Blanks, comments and newlines.
void skip_lines(Reader& reader);
/// After blanks: reads `word` if it is there.
bool accept(Reader& reader, std::string_view word);
void expect(Reader& reader, std::string_view word, std::string_view message);
bool at_word(const Reader& reader);
/// The identifier here; empty if there is none.
std::string read_word(Reader& reader);
/// Whether the next word, after blanks, is `word`; it is not read.
bool next_word_is(Reader& reader, std::string_view word);

/// Counts a level of nesting, and restores the count and the meaning of newlines at scope end.
class Nested {
 public:
  Nested(Reader& reader, bool newlines);
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;
  ~Nested();

 private:
  Reader& reader_;
  bool newlines_;
};

/// `rune` <= U+10FFFF in UTF-8.
void append_utf8(std::string& out, std::uint32_t rune);

ExpressionPtr make_expression(decltype(Expression::node) node, Span span,
                              std::initializer_list<ExpressionPtr> children);
ExpressionPtr make_expression(decltype(Expression::node) node, Span span, const std::vector<ExpressionPtr>& children);

ExpressionPtr read_expression(Reader& reader);
/// After the opening quote, up to and with the closing one; `open` is where it begins.
ExpressionPtr read_quoted(Reader& reader, std::size_t open);
/// At "<<".
ExpressionPtr read_heredoc(Reader& reader);
/// The whole text is a template.
ExpressionPtr read_template(Reader& reader);

}  // namespace cbuild::bake::hcl
