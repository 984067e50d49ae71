// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/reader.h"

#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"

namespace cbuild::bake::hcl {
namespace {

constexpr unsigned kMaxDepth = 100;   // of brackets, blocks and templates
constexpr unsigned kMaxHeight = 400;  // of a tree, which operators and dots make higher without nesting

bool starts_word(std::string_view text) {
  if (text.empty()) return false;
  const unsigned char c = static_cast<unsigned char>(text.front());
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0x80 && decode_rune(text).valid);
}

bool continues_word(std::string_view text) {
  return starts_word(text) || (!text.empty() && (text.front() == '-' || (text.front() >= '0' && text.front() <= '9')));
}

std::size_t word_end(const Reader& reader) {
  std::size_t end = reader.pos;
  if (!starts_word(reader.text.substr(end))) return end;
  while (continues_word(reader.text.substr(end))) end += decode_rune(reader.text.substr(end)).size;
  return end;
}

void skip_block_comment(Reader& reader) {
  const std::size_t begin = reader.pos;
  const auto end = reader.text.find("*/", begin + 2);
  if (end == std::string_view::npos) fail(reader.span(begin, begin + 2), "comment is not closed", "close it with */");
  reader.pos = end + 2;
}

void skip(Reader& reader, bool newlines) {
  while (!reader.at_end()) {
    const char c = reader.peek();
    if (c == ' ' || c == '\t' || (c == '\r' && (newlines || reader.peek(1) == '\n')) || (c == '\n' && newlines))
      ++reader.pos;
    else if (c == '#' || reader.looking_at("//"))
      reader.pos = std::min(reader.text.find('\n', reader.pos), reader.text.size());
    else if (reader.looking_at("/*"))
      skip_block_comment(reader);
    else
      return;
  }
}

template <typename Children>
ExpressionPtr make(decltype(Expression::node) node, Span span, const Children& children) {
  unsigned height = 0;
  for (const ExpressionPtr& child : children)
    if (child) height = std::max(height, child->height);
  if (height >= kMaxHeight) fail(span, "expression has too many levels", "give a part of it a name of its own");
  return std::make_shared<const Expression>(Expression{std::move(node), std::move(span), height + 1});
}

}  // namespace

Span Reader::span(std::size_t begin, std::size_t end) const {
  if (place) return place;
  return Span{source, std::min(begin, text.size()), std::min(end, text.size())};
}

void fail(const Span& span, std::string message, std::string hint) {
  throw DiagnosticError({Diagnostic{Severity::error, span, std::move(message), std::move(hint), ""}});
}

void fail_here(const Reader& reader, std::string message, std::string hint) {
  std::size_t end = std::max(word_end(reader), std::min(reader.pos + 1, reader.text.size()));
  if (reader.peek() == '\n') end = reader.pos;
  fail(reader.span(reader.pos, end), std::move(message), std::move(hint));
}

void skip_blanks(Reader& reader) { skip(reader, !reader.newlines); }
void skip_lines(Reader& reader) { skip(reader, true); }

bool accept(Reader& reader, std::string_view word) {
  skip_blanks(reader);
  if (!reader.looking_at(word)) return false;
  reader.pos += word.size();
  return true;
}

void expect(Reader& reader, std::string_view word, std::string_view message) {
  if (!accept(reader, word)) fail_here(reader, std::string(message));
}

bool at_word(const Reader& reader) { return starts_word(reader.text.substr(reader.pos)); }

std::string read_word(Reader& reader) {
  const std::size_t begin = reader.pos;
  reader.pos = word_end(reader);
  return std::string(reader.text.substr(begin, reader.pos - begin));
}

bool next_word_is(Reader& reader, std::string_view word) {
  skip_blanks(reader);
  return reader.text.substr(reader.pos, word_end(reader) - reader.pos) == word;
}

Nested::Nested(Reader& reader, bool newlines) : reader_(reader), newlines_(reader.newlines) {
  if (reader.depth >= kMaxDepth) fail_here(reader, cat("nested more than ", kMaxDepth, " levels deep"));
  ++reader.depth;
  reader.newlines = newlines;
}

Nested::~Nested() {
  --reader_.depth;
  reader_.newlines = newlines_;
}

void append_utf8(std::string& out, std::uint32_t rune) {
  if (rune < 0x80) return static_cast<void>(out += static_cast<char>(rune));
  const int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
  static constexpr unsigned kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kFirst[more] | (rune >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((rune >> (6 * i)) & 0x3f));
}

ExpressionPtr make_expression(decltype(Expression::node) node, Span span,
                              std::initializer_list<ExpressionPtr> children) {
  return make(std::move(node), std::move(span), children);
}

ExpressionPtr make_expression(decltype(Expression::node) node, Span span, const std::vector<ExpressionPtr>& children) {
  return make(std::move(node), std::move(span), children);
}

}  // namespace cbuild::bake::hcl
