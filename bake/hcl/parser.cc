// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/parser.h"

#include <utility>

#include "bake/hcl/reader.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

Body read_body(Reader& reader, bool nested, std::size_t open);

void end_item(Reader& reader, std::string_view item) {
  skip_blanks(reader);
  if (reader.at_end() || reader.peek() == '\n') return;
  if (reader.peek() == ',')
    fail_here(reader, cat("unexpected comma after the ", item), "arguments are separated by new lines");
  fail_here(reader, cat("expected a new line after the ", item));
}

Assignment read_assignment(Reader& reader, std::string name, std::size_t begin, std::size_t name_end) {
  Assignment out{std::move(name), nullptr, reader.span(begin, name_end)};
  out.value = read_expression(reader);
  return out;
}

std::string read_label(Reader& reader) {
  if (reader.peek() != '"') return read_word(reader);
  const std::size_t open = reader.pos++;
  const ExpressionPtr label = read_quoted(reader, open);
  const auto* literal = std::get_if<Literal>(&label->node);
  if (!literal || !literal->value.is_string())
    fail(label->span, "label is not a plain string", "to use ${ itself, write $${");
  return literal->value.as_string();
}

void read_labels(Reader& reader, Block& block) {
  while (!accept(reader, "{")) {
    const std::size_t begin = reader.pos;
    if (reader.peek() != '"' && !at_word(reader))
      fail_here(reader, "expected { or a label in quotes", "a block looks like: target \"name\" {");
    block.labels.push_back(read_label(reader));
    if (block.labels.size() == 1) block.label_span = reader.span_from(begin);
  }
}

/// The body of a block on one line, which has one argument.
Body read_single(Reader& reader, std::size_t open) {
  Body body;
  skip_blanks(reader);
  if (!at_word(reader)) fail_here(reader, "expected an argument or }");
  const std::size_t begin = reader.pos;
  std::string name = read_word(reader);
  const std::size_t name_end = reader.pos;
  expect(reader, "=", "expected = after the name of the argument");
  body.attributes.push_back(read_assignment(reader, std::move(name), begin, name_end));
  skip_blanks(reader);
  if (reader.at_end()) fail(reader.span(open, open + 1), "block is not closed", "close it with }");
  if (!accept(reader, "}"))
    fail_here(reader, "a block on one line has one argument", "write each argument on a line of its own");
  return body;
}

Block read_block(Reader& reader, std::string type, std::size_t begin) {
  Block block;
  block.type = std::move(type);
  read_labels(reader, block);
  const std::size_t open = reader.pos - 1;
  block.span = reader.span(begin, open);
  if (block.labels.empty()) block.label_span = block.span;
  const Nested nested(reader, true);
  skip_blanks(reader);
  if (accept(reader, "}")) return block;
  block.body = reader.at_end() || reader.peek() == '\n' ? read_body(reader, true, open) : read_single(reader, open);
  return block;
}

void add_assignment(Body& body, Assignment assignment) {
  if (const Assignment* other = body.find(assignment.name))
    fail(assignment.name_span, cat(go_quote(assignment.name), " is set twice"),
         other->name_span.source
             ? cat("the other one is in line ", other->name_span.source->position(other->name_span.begin).line)
             : "");
  body.attributes.push_back(std::move(assignment));
}

void read_item(Reader& reader, Body& body) {
  const std::size_t begin = reader.pos;
  if (reader.peek() == '"') fail_here(reader, "the name of an argument is not in quotes");
  if (!at_word(reader)) fail_here(reader, "expected an argument or a block");
  std::string name = read_word(reader);
  const std::size_t name_end = reader.pos;
  skip_blanks(reader);
  if (reader.peek() == '=' && reader.peek(1) != '=') {
    ++reader.pos;
    add_assignment(body, read_assignment(reader, std::move(name), begin, name_end));
    return end_item(reader, "argument");
  }
  if (reader.peek() != '"' && reader.peek() != '{' && !at_word(reader))
    fail(reader.span(begin, name_end), "expected an argument or a block", "an argument looks like: name = value");
  body.blocks.push_back(read_block(reader, std::move(name), begin));
  end_item(reader, "block");
}

Body read_body(Reader& reader, bool nested, std::size_t open) {
  Body body;
  while (true) {
    skip_lines(reader);
    if (nested && reader.at_end()) fail(reader.span(open, open + 1), "block is not closed", "close it with }");
    if (reader.at_end()) return body;
    if (nested && accept(reader, "}")) return body;
    read_item(reader, body);
  }
}

}  // namespace

Body parse(const std::shared_ptr<const SourceText>& source) {
  Reader reader;
  reader.source = source;
  reader.text = source->text();
  if (reader.text.size() > kMaxBytes) fail(reader.span(0, 0), "file is larger than 16 MB");
  if (reader.text.starts_with("\xef\xbb\xbf")) reader.pos = 3;
  return read_body(reader, false, 0);
}

ExpressionPtr unquoted(const ExpressionPtr& expression) {
  const auto* literal = std::get_if<Literal>(&expression->node);
  if (!literal || !literal->value.is_string()) return expression;
  Reader reader;
  reader.text = literal->value.as_string();
  reader.place = expression->span;
  reader.newlines = false;
  ExpressionPtr out = read_expression(reader);
  skip_blanks(reader);
  if (!reader.at_end()) fail(expression->span, "expected one expression");
  return out;
}

}  // namespace cbuild::bake::hcl
