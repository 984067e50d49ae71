// SPDX-License-Identifier: Apache-2.0
// Templates: quoted strings, heredocs and the strings of HCL's JSON syntax. A first pass cuts the text into pieces
// (literals, "${...}" and the directives "%{...}"), with a literal of its own for each line of a heredoc; then blanks
// are removed where "~" or "<<-" ask for it, and the pieces become a tree.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "bake/hcl/reader.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild::bake::hcl {
namespace {

enum class PieceKind { literal, value, if_, else_, endif, for_, endfor, end };

struct Piece {
  PieceKind kind = PieceKind::literal;
  std::string text;  ///< literal
  For loop;          ///< for
  ExpressionPtr value;
  Span span;
};

/// Where a template ends: at a quote, at a line with the marker of a heredoc, or with the text.
struct Ending {
  enum class Kind { quote, marker, text } kind = Kind::text;
  std::string marker;
  std::size_t open = 0;
};

struct Pieces {
  std::vector<Piece> list;
  bool trim_next = false;
  bool open_literal = false;  ///< the last piece is a literal that goes on
};

constexpr std::string_view kBlanks = " \t\n\r\v\f";

void append(Pieces& pieces, std::string_view text, const Span& span) {
  if (!pieces.open_literal) {
    pieces.list.push_back({});
    pieces.list.back().span = span;
    pieces.open_literal = true;
  }
  pieces.list.back().text += text;
  pieces.list.back().span.end = span.end;
}

/// Ends the current literal.
void close_literal(Pieces& pieces) {
  if (pieces.open_literal && pieces.trim_next) {
    std::string& text = pieces.list.back().text;
    text.erase(0, std::min(text.find_first_not_of(kBlanks), text.size()));
  }
  if (pieces.open_literal) pieces.trim_next = false;
  pieces.open_literal = false;
}

void read_unicode_escape(Reader& reader, Pieces& pieces, std::size_t begin, std::size_t digits) {
  const auto value = parse_int(reader.text.substr(reader.pos, digits), 16);
  if (!value || reader.pos + digits > reader.text.size() || *value < 0 || *value > 0x10ffff ||
      (*value >= 0xd800 && *value < 0xe000))
    fail(reader.span_from(begin), "invalid escape sequence",
         cat("write ", digits, " hexadecimal digits of a character"));
  reader.pos += digits;
  std::string out;
  append_utf8(out, static_cast<std::uint32_t>(*value));
  append(pieces, out, reader.span_from(begin));
}

/// At a backslash of a quoted string.
void read_escape(Reader& reader, Pieces& pieces) {
  const std::size_t begin = reader.pos++;
  const char c = reader.peek();
  reader.pos = std::min(reader.pos + 1, reader.text.size());
  static constexpr std::pair<char, char> kEscapes[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'"', '"'}, {'\\', '\\'}};
  for (const auto& [name, value] : kEscapes)
    if (c == name) return append(pieces, std::string_view(&value, 1), reader.span_from(begin));
  if (c == 'u') return read_unicode_escape(reader, pieces, begin, 4);
  if (c == 'U') return read_unicode_escape(reader, pieces, begin, 8);
  fail(reader.span_from(begin), "invalid escape sequence", "a backslash itself is written as \\\\");
}

void end_sequence(Reader& reader, Pieces& pieces, std::size_t begin) {
  if (accept(reader, "~}")) {
    pieces.trim_next = true;
    return;
  }
  if (accept(reader, "}")) return;
  if (reader.at_end()) fail(reader.span(begin, begin + 2), "sequence is not closed", "close it with }");
  fail_here(reader, "expected } to end the sequence",
            "if it belongs to another language, write $${ for ${ and %%{ for %{");
}

void read_for_directive(Reader& reader, Piece& piece) {
  piece.kind = PieceKind::for_;
  skip_blanks(reader);
  if (!at_word(reader)) fail_here(reader, "expected the name of a variable after 'for'");
  piece.loop.value_name = read_word(reader);
  if (accept(reader, ",")) {
    skip_blanks(reader);
    if (!at_word(reader)) fail_here(reader, "expected the name of a variable after the comma");
    piece.loop.key_name = std::exchange(piece.loop.value_name, read_word(reader));
  }
  if (!next_word_is(reader, "in")) fail_here(reader, "expected 'in' after the names of a 'for'");
  read_word(reader);
  piece.loop.from = read_expression(reader);
}

void read_directive(Reader& reader, Piece& piece) {
  skip_blanks(reader);
  const std::size_t begin = reader.pos;
  const std::string word = read_word(reader);
  if (word == "for") return read_for_directive(reader, piece);
  if (word == "if") {
    piece.kind = PieceKind::if_;
    piece.value = read_expression(reader);
    return;
  }
  static constexpr std::pair<std::string_view, PieceKind> kWords[] = {
      {"else", PieceKind::else_}, {"endif", PieceKind::endif}, {"endfor", PieceKind::endfor}};
  for (const auto& [name, kind] : kWords) {
    if (word != name) continue;
    piece.kind = kind;
    return;
  }
  const std::vector<std::string> known = {"if", "for", "else", "endif", "endfor"};
  const auto near = suggest(word, known);
  fail(reader.span_from(begin), cat("unknown directive ", go_quote(word)),
       near ? cat("did you mean ", *near, "?") : "directives are if, else, endif, for and endfor");
}

/// At "${" or "%{".
void read_sequence(Reader& reader, Pieces& pieces) {
  const std::size_t begin = reader.pos;
  const bool directive = reader.peek() == '%';
  reader.pos += 2;
  const bool trim_before = reader.peek() == '~';
  if (trim_before) ++reader.pos;
  if (trim_before && pieces.open_literal) {
    std::string& text = pieces.list.back().text;
    text.erase(text.find_last_not_of(kBlanks) + 1);
  }
  close_literal(pieces);
  pieces.trim_next = false;
  const Nested nested(reader, false);
  Piece piece;
  piece.kind = PieceKind::value;
  if (directive)
    read_directive(reader, piece);
  else
    piece.value = read_expression(reader);
  end_sequence(reader, pieces, begin);
  piece.span = reader.span_from(begin);
  pieces.list.push_back(std::move(piece));
}

bool at_marker(const Reader& reader, const std::string& marker) {
  const auto end = std::min(reader.text.find('\n', reader.pos), reader.text.size());
  return trim(reader.text.substr(reader.pos, end - reader.pos)) == marker;
}

/// True at the end, which is read.
bool at_ending(Reader& reader, const Ending& ending, bool line_begins) {
  if (ending.kind == Ending::Kind::marker && line_begins && at_marker(reader, ending.marker)) {
    reader.pos = std::min(reader.text.find('\n', reader.pos), reader.text.size());
    return true;
  }
  if (ending.kind == Ending::Kind::quote && reader.peek() == '"') {
    ++reader.pos;
    return true;
  }
  if (!reader.at_end()) return false;
  if (ending.kind == Ending::Kind::text) return true;
  const bool quote = ending.kind == Ending::Kind::quote;
  fail(reader.span(ending.open, ending.open + (quote ? 1 : 2)),
       quote ? "string is not closed" : "heredoc is not closed",
       quote ? "close it with \"" : cat("end it with a line that has only ", ending.marker));
}

/// One character, escape or sequence.
void read_piece(Reader& reader, const Ending& ending, Pieces& pieces) {
  const std::size_t begin = reader.pos;
  if (reader.looking_at("$${") || reader.looking_at("%%{")) {
    reader.pos += 3;
    return append(pieces, reader.text.substr(begin + 1, 2), reader.span_from(begin));
  }
  if (reader.looking_at("${") || reader.looking_at("%{")) return read_sequence(reader, pieces);
  const bool quoted = ending.kind == Ending::Kind::quote;
  if (quoted && reader.peek() == '\\') return read_escape(reader, pieces);
  if (quoted && reader.peek() == '\n')
    fail(reader.span(ending.open, reader.pos), "string goes over the end of the line",
         "write \\n, or use a heredoc (<<EOT) for several lines");
  const bool newline = reader.text[reader.pos++] == '\n';
  while (!newline && !reader.at_end() && std::string_view("$%\\\"\n").find(reader.peek()) == std::string_view::npos)
    ++reader.pos;
  if (!newline && !quoted && reader.peek() == '\n') ++reader.pos;
  append(pieces, reader.text.substr(begin, reader.pos - begin), reader.span_from(begin));
}

Pieces read_pieces(Reader& reader, const Ending& ending) {
  Pieces pieces;
  bool line_begins = true;
  while (!at_ending(reader, ending, line_begins)) {
    const std::size_t begin = reader.pos;
    read_piece(reader, ending, pieces);
    const std::string_view read = reader.text.substr(begin, reader.pos - begin);
    line_begins = read.ends_with('\n') && pieces.open_literal;
    if (ending.kind == Ending::Kind::marker && line_begins) close_literal(pieces);
  }
  close_literal(pieces);
  Piece end;
  end.kind = PieceKind::end;
  end.span = reader.span_from(reader.pos);
  pieces.list.push_back(std::move(end));
  return pieces;
}

/// "<<-": the blanks that all lines begin with are removed. Lines of blanks alone do not count.
void remove_indent(std::vector<Piece>& pieces) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::size_t least = kNone;
  std::vector<Piece*> lines;
  bool line_begins = true;
  for (Piece& piece : pieces) {
    const bool literal = piece.kind == PieceKind::literal;
    if (line_begins && piece.kind != PieceKind::end) {
      const std::size_t blanks = literal ? piece.text.find_first_not_of(kBlanks) : 0;
      const bool blank_line = literal && blanks == std::string::npos && piece.text.ends_with('\n');
      if (!blank_line) least = std::min(least, blanks == std::string::npos ? piece.text.size() : blanks);
      if (literal && !blank_line) lines.push_back(&piece);
    }
    line_begins = literal && piece.text.ends_with('\n');
  }
  if (least == kNone) return;
  for (Piece* piece : lines) piece->text.erase(0, least);
}

struct PieceReader {
  std::vector<Piece>& pieces;
  std::size_t pos = 0;
  unsigned depth = 0;
};

ExpressionPtr read_node(PieceReader& reader);

ExpressionPtr joined_parts(std::vector<ExpressionPtr> parts, const Span& span) {
  if (parts.empty()) return make_expression(Literal{Value::string("")}, span, {});
  auto children = parts;
  return make_expression(Template{std::move(parts)}, span, children);
}

bool is_end(PieceKind kind) {
  return kind == PieceKind::else_ || kind == PieceKind::endif || kind == PieceKind::endfor || kind == PieceKind::end;
}

/// The parts up to a directive that ends them, which is not read.
ExpressionPtr read_parts(PieceReader& reader, const Span& span) {
  std::vector<ExpressionPtr> parts;
  while (!is_end(reader.pieces[reader.pos].kind)) parts.push_back(read_node(reader));
  return joined_parts(std::move(parts), span);
}

void expect_directive(PieceReader& reader, PieceKind kind, const Span& open, std::string_view name) {
  Piece& piece = reader.pieces[reader.pos];
  if (piece.kind == PieceKind::end) fail(open, "directive is not closed", cat("close it with %{ ", name, " }"));
  if (piece.kind != kind) fail(piece.span, cat("unexpected directive, expected ", name));
  ++reader.pos;
}

ExpressionPtr read_if(PieceReader& reader, const Piece& piece) {
  ExpressionPtr yes = read_parts(reader, piece.span), no = joined_parts({}, piece.span);
  if (reader.pieces[reader.pos].kind == PieceKind::else_) {
    ++reader.pos;
    no = read_parts(reader, piece.span);
  }
  expect_directive(reader, PieceKind::endif, piece.span, "endif");
  return make_expression(Conditional{piece.value, yes, no}, piece.span, {piece.value, yes, no});
}

ExpressionPtr read_for_node(PieceReader& reader, const Piece& piece) {
  For loop = piece.loop;
  loop.value = read_parts(reader, piece.span);
  loop.joined = true;
  expect_directive(reader, PieceKind::endfor, piece.span, "endfor");
  return make_expression(loop, piece.span, {loop.from, loop.value});
}

ExpressionPtr read_node(PieceReader& reader) {
  const Piece& piece = reader.pieces[reader.pos++];
  if (piece.kind == PieceKind::literal) {
    std::string text = piece.text;
    Span span = piece.span;
    while (reader.pieces[reader.pos].kind == PieceKind::literal) {
      span.end = reader.pieces[reader.pos].span.end;
      text += reader.pieces[reader.pos++].text;
    }
    return make_expression(Literal{Value::string(std::move(text))}, span, {});
  }
  if (piece.kind == PieceKind::value) return piece.value;
  if (++reader.depth > 50) fail(piece.span, "directives are nested more than 50 levels deep");
  ExpressionPtr out = piece.kind == PieceKind::if_ ? read_if(reader, piece) : read_for_node(reader, piece);
  --reader.depth;
  return out;
}

ExpressionPtr to_expression(Pieces pieces, const Span& span) {
  if (pieces.list.size() == 2 && pieces.list.front().kind == PieceKind::value) return pieces.list.front().value;
  PieceReader reader{pieces.list};
  ExpressionPtr out = read_parts(reader, span);
  if (reader.pieces[reader.pos].kind != PieceKind::end)
    fail(reader.pieces[reader.pos].span, "directive ends something that has not begun");
  const auto* parts = std::get_if<Template>(&out->node);
  const auto* literal = parts && parts->parts.size() == 1 ? std::get_if<Literal>(&parts->parts.front()->node) : nullptr;
  return literal && literal->value.is_string() ? make_expression(*literal, span, {}) : out;
}

}  // namespace

ExpressionPtr read_quoted(Reader& reader, std::size_t open) {
  const Nested nested(reader, reader.newlines);
  Pieces pieces = read_pieces(reader, {Ending::Kind::quote, "", open});
  return to_expression(std::move(pieces), reader.span_from(open));
}

ExpressionPtr read_heredoc(Reader& reader) {
  const std::size_t open = reader.pos;
  const Nested nested(reader, reader.newlines);
  reader.pos += 2;
  const bool indented = reader.peek() == '-';
  if (indented) ++reader.pos;
  const std::string marker = read_word(reader);
  if (reader.peek() == '\r') ++reader.pos;
  if (marker.empty() || reader.peek() != '\n')
    fail(reader.span_from(open), "invalid heredoc", "write << and a word that ends the line, such as <<EOT");
  ++reader.pos;
  Pieces pieces = read_pieces(reader, {Ending::Kind::marker, marker, open});
  if (indented) remove_indent(pieces.list);
  return to_expression(std::move(pieces), reader.span_from(open));
}

ExpressionPtr read_template(Reader& reader) {
  Pieces pieces = read_pieces(reader, {});
  return to_expression(std::move(pieces), reader.span(0, reader.text.size()));
}

}  // namespace cbuild::bake::hcl
