// SPDX-License-Identifier: Apache-2.0
// HCL's JSON syntax: a JSON reader of its own, since values need their places in the file. Objects become object
// expressions, strings templates; what is a block depends on where it stands, so members of the named types are taken
// apart once the text is read.
#include <algorithm>
#include <utility>

#include "bake/hcl/parser.h"
#include "bake/hcl/reader.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

ExpressionPtr read_value(Reader& reader);

void skip_space(Reader& reader) {
  while (!reader.at_end() && std::string_view(" \t\r\n").find(reader.peek()) != std::string_view::npos) ++reader.pos;
}

std::uint32_t read_hex(Reader& reader) {
  const auto value = parse_int(reader.text.substr(reader.pos, 4), 16);
  if (!value || *value < 0 || reader.pos + 4 > reader.text.size()) fail_here(reader, "invalid escape sequence");
  reader.pos += 4;
  return static_cast<std::uint32_t>(*value);
}

void read_json_escape(Reader& reader, std::string& out) {
  const char c = reader.peek(1);
  reader.pos = std::min(reader.pos + 2, reader.text.size());
  static constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  if (const auto at = kNames.find(c); c != '\0' && at != std::string_view::npos)
    return static_cast<void>(out += kValues[at]);
  if (c != 'u') fail_here(reader, "invalid escape sequence");
  std::uint32_t rune = read_hex(reader);
  if (rune >= 0xd800 && rune < 0xdc00 && reader.looking_at("\\u")) {
    reader.pos += 2;
    const std::uint32_t low = read_hex(reader);
    rune = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
  }
  append_utf8(out, rune >= 0xd800 && rune < 0xe000 ? 0xfffd : rune);
}

std::string read_json_string(Reader& reader) {
  const std::size_t open = reader.pos++;
  std::string out;
  while (reader.peek() != '"' || reader.at_end()) {
    if (reader.at_end() || reader.peek() == '\n') fail(reader.span(open, open + 1), "string is not closed");
    if (reader.peek() == '\\')
      read_json_escape(reader, out);
    else
      out += reader.text[reader.pos++];
  }
  ++reader.pos;
  return out;
}

ExpressionPtr template_of(const std::string& text, const Span& span) {
  if (text.find("${") == std::string::npos && text.find("%{") == std::string::npos)
    return make_expression(Literal{Value::string(text)}, span, {});
  Reader reader;
  reader.text = text;
  reader.place = span;
  return read_template(reader);
}

/// Calls `item` for what stands between brackets, up to `close`.
template <typename Item>
void read_list(Reader& reader, char close, Item item) {
  const std::size_t open = reader.pos++;
  const Nested nested(reader, false);
  for (skip_space(reader); reader.peek() != close; skip_space(reader)) {
    if (reader.at_end()) fail(reader.span(open, open + 1), cat("expected ", close, " before the end of the file"));
    item();
    skip_space(reader);
    if (reader.peek() == ',') {
      const std::size_t comma = reader.pos++;
      skip_space(reader);
      if (reader.peek() == close) fail(reader.span(comma, comma + 1), "comma after the last element");
    } else if (reader.peek() != close && !reader.at_end()) {
      fail_here(reader, cat("expected a comma or ", close));
    }
  }
  ++reader.pos;
}

ExpressionPtr read_object_value(Reader& reader) {
  const std::size_t begin = reader.pos;
  Object object;
  std::vector<ExpressionPtr> children;
  read_list(reader, '}', [&] {
    const std::size_t key_begin = reader.pos;
    if (reader.peek() != '"') fail_here(reader, "expected the name of a member in double quotes");
    const std::string key = read_json_string(reader);
    const Span span = reader.span_from(key_begin);
    skip_space(reader);
    if (reader.peek() != ':') fail_here(reader, "expected a colon after the name of a member");
    ++reader.pos;
    object.items.emplace_back(template_of(key, span), read_value(reader));
    children.push_back(object.items.back().first);
    children.push_back(object.items.back().second);
  });
  return make_expression(std::move(object), reader.span_from(begin), children);
}

ExpressionPtr read_array_value(Reader& reader) {
  const std::size_t begin = reader.pos;
  Tuple tuple;
  read_list(reader, ']', [&] { tuple.items.push_back(read_value(reader)); });
  auto children = tuple.items;
  return make_expression(std::move(tuple), reader.span_from(begin), children);
}

ExpressionPtr read_plain(Reader& reader) {
  const std::size_t begin = reader.pos;
  while (!reader.at_end() && std::string_view(" \t\r\n,]}:\"{[").find(reader.peek()) == std::string_view::npos)
    ++reader.pos;
  const std::string_view word = reader.text.substr(begin, reader.pos - begin);
  const Span span = reader.span_from(begin);
  if (word == "true" || word == "false") return make_expression(Literal{Value::boolean(word == "true")}, span, {});
  if (word == "null") return make_expression(Literal{Value()}, span, {});
  const auto number = word.starts_with('+') ? std::nullopt : Number::parse(word);
  if (number) return make_expression(Literal{Value::number(*number)}, span, {});
  if (word.empty()) fail_here(reader, "expected a value");
  fail(span, "expected a value", "strings are in double quotes");
}

ExpressionPtr read_value(Reader& reader) {
  skip_space(reader);
  const std::size_t begin = reader.pos;
  if (reader.peek() == '{') return read_object_value(reader);
  if (reader.peek() == '[') return read_array_value(reader);
  if (reader.peek() != '"') return read_plain(reader);
  const std::string text = read_json_string(reader);
  return template_of(text, reader.span_from(begin));
}

const std::string& member_name(const ExpressionPtr& key) {
  const auto* literal = std::get_if<Literal>(&key->node);
  if (!literal || !literal->value.is_string()) fail(key->span, "name of a member is not a plain string");
  return literal->value.as_string();
}

const Object& as_object(const ExpressionPtr& expression, std::string_view subject) {
  const auto* object = std::get_if<Object>(&expression->node);
  if (!object) fail(expression->span, cat(subject, " is not a JSON object"));
  return *object;
}

Body to_body(const ExpressionPtr& expression, std::string_view subject, std::span<const std::string> nested);

/// The elements of an array of objects, or the one object.
std::vector<ExpressionPtr> each_object(const ExpressionPtr& expression) {
  const auto* tuple = std::get_if<Tuple>(&expression->node);
  return tuple ? tuple->items : std::vector<ExpressionPtr>{expression};
}

const std::vector<std::string>& nested_types(std::string_view type) {
  static const std::vector<std::string> kValidation = {"validation"}, kNone;
  return type == "variable" ? kValidation : kNone;
}

void add_block(Body& body, std::string type, std::vector<std::string> labels, const ExpressionPtr& key,
               const ExpressionPtr& value) {
  Block block;
  block.body = to_body(value, go_quote(labels.empty() ? type : labels.front()), nested_types(type));
  block.type = std::move(type);
  block.labels = std::move(labels);
  block.span = block.label_span = key->span;
  body.blocks.push_back(std::move(block));
}

void add_blocks(Body& body, const std::string& type, const ExpressionPtr& key, const ExpressionPtr& value) {
  for (const ExpressionPtr& element : each_object(value)) {
    if (type == "validation") {
      add_block(body, type, {}, key, element);
      continue;
    }
    for (const auto& [label, members] : as_object(element, go_quote(type)).items)
      for (const ExpressionPtr& member : each_object(members))
        add_block(body, type, {member_name(label)}, label, member);
  }
}

Body to_body(const ExpressionPtr& expression, std::string_view subject, std::span<const std::string> nested) {
  Body body;
  for (const auto& [key, value] : as_object(expression, subject).items) {
    const std::string& name = member_name(key);
    if (name == "//") continue;  // a comment
    if (std::find(nested.begin(), nested.end(), name) != nested.end())
      add_blocks(body, name, key, value);
    else
      body.attributes.push_back({name, value, key->span});
  }
  return body;
}

}  // namespace

Body parse_json(const std::shared_ptr<const SourceText>& source, std::span<const std::string> block_types) {
  Reader reader;
  reader.source = source;
  reader.text = source->text();
  if (reader.text.starts_with("\xef\xbb\xbf")) reader.pos = 3;
  const ExpressionPtr value = read_value(reader);
  skip_space(reader);
  if (!reader.at_end()) fail_here(reader, "unexpected text after the JSON value");
  return to_body(value, "the file", block_types);
}

}  // namespace cbuild::bake::hcl
