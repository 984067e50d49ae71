// SPDX-License-Identifier: Apache-2.0
// Expressions of HCL by recursive descent: operators by precedence, then terms with the traversals that follow them. A
// function reads from the reader's place and leaves it after what it read; newlines are blanks inside of brackets.
#include <array>
#include <utility>

#include "bake/hcl/reader.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

struct OperatorWord {
  std::string_view text;
  Operator operation;
  int precedence;
};
// Longer words first.
constexpr std::array<OperatorWord, 13> kOperators{{{"||", Operator::logical_or, 1},
                                                   {"&&", Operator::logical_and, 2},
                                                   {"==", Operator::equal, 3},
                                                   {"!=", Operator::not_equal, 3},
                                                   {"<=", Operator::less_equal, 4},
                                                   {">=", Operator::greater_equal, 4},
                                                   {"<", Operator::less, 4},
                                                   {">", Operator::greater, 4},
                                                   {"+", Operator::add, 5},
                                                   {"-", Operator::subtract, 5},
                                                   {"*", Operator::multiply, 6},
                                                   {"/", Operator::divide, 6},
                                                   {"%", Operator::modulo, 6}}};

const OperatorWord* next_operator(Reader& reader) {
  skip_blanks(reader);
  for (const OperatorWord& word : kOperators)
    if (reader.looking_at(word.text)) return &word;
  return nullptr;
}

Span joined(const ExpressionPtr& from, const Span& to) {
  Span span = from->span;
  span.end = std::max(span.end, to.end);
  return span;
}

ExpressionPtr number_literal(Reader& reader) {
  const std::size_t begin = reader.pos;
  const auto digits = [&] {
    while (reader.peek() >= '0' && reader.peek() <= '9') ++reader.pos;
  };
  const auto is_digit = [&](std::size_t ahead) { return reader.peek(ahead) >= '0' && reader.peek(ahead) <= '9'; };
  digits();
  if (reader.peek() == '.' && is_digit(1)) {
    ++reader.pos;
    digits();
  }
  if (reader.peek() == 'e' || reader.peek() == 'E') {
    const std::size_t sign = reader.peek(1) == '+' || reader.peek(1) == '-' ? 1 : 0;
    if (is_digit(1 + sign)) {
      reader.pos += 1 + sign;
      digits();
    }
  }
  const auto number = Number::parse(reader.text.substr(begin, reader.pos - begin));
  if (!number) fail(reader.span_from(begin), "number is too large", "numbers have at most 4096 digits");
  return make_expression(Literal{Value::number(*number)}, reader.span_from(begin), {});
}

/// After "(".
void read_arguments(Reader& reader, Call& call, std::size_t begin) {
  const Nested nested(reader, false);
  while (!accept(reader, ")")) {
    if (reader.at_end()) fail(reader.span_from(begin), "call is not closed", "close it with )");
    call.arguments.push_back(read_expression(reader));
    if (accept(reader, "...")) {
      call.expand_last = true;
      accept(reader, ",");
      return expect(reader, ")", "expected ) after ...");
    }
    if (accept(reader, ",")) continue;
    expect(reader, ")", "expected a comma or ) after an argument");
    return;
  }
}

ExpressionPtr read_call(Reader& reader, std::string name, std::size_t begin) {
  Call call;
  while (reader.looking_at("::")) {
    reader.pos += 2;
    name += "::" + read_word(reader);
  }
  call.name = std::move(name);
  call.name_span = reader.span_from(begin);
  expect(reader, "(", "expected ( after the name of a function");
  read_arguments(reader, call, begin);
  auto children = call.arguments;
  return make_expression(std::move(call), reader.span_from(begin), children);
}

ExpressionPtr read_name(Reader& reader) {
  const std::size_t begin = reader.pos;
  std::string name = read_word(reader);
  if (reader.looking_at("::") || reader.peek() == '(') return read_call(reader, std::move(name), begin);
  const std::size_t end = reader.pos;
  skip_blanks(reader);
  if (reader.peek() == '(') return read_call(reader, std::move(name), begin);
  reader.pos = end;
  const Span span = reader.span_from(begin);
  if (name == "true" || name == "false") return make_expression(Literal{Value::boolean(name == "true")}, span, {});
  if (name == "null") return make_expression(Literal{Value()}, span, {});
  return make_expression(Variable{std::move(name)}, span, {});
}

std::string loop_name(Reader& reader) {
  skip_blanks(reader);
  if (!at_word(reader)) fail_here(reader, "expected the name of a variable after 'for'");
  return read_word(reader);
}

void read_loop_head(Reader& reader, For& loop) {
  loop.value_name = loop_name(reader);
  if (accept(reader, ",")) loop.key_name = std::exchange(loop.value_name, loop_name(reader));
  if (!next_word_is(reader, "in")) fail_here(reader, "expected 'in' after the names of a 'for'");
  read_word(reader);
  loop.from = read_expression(reader);
}

/// At "for", inside of brackets.
ExpressionPtr read_for(Reader& reader, std::size_t begin, bool object) {
  read_word(reader);
  For loop;
  read_loop_head(reader, loop);
  expect(reader, ":", "expected a colon after the collection of a 'for'");
  loop.value = read_expression(reader);
  if (accept(reader, "=>")) loop.key = std::exchange(loop.value, read_expression(reader));
  loop.grouped = accept(reader, "...");
  if (next_word_is(reader, "if")) {
    read_word(reader);
    loop.condition = read_expression(reader);
  }
  expect(reader, object ? "}" : "]", "the 'for' expression should end here");
  const Span span = reader.span_from(begin);
  if (object && !loop.key) fail(span, "a 'for' in braces needs a key", "write {for v in list : key => value}");
  if (!object && loop.key) fail(span, "a 'for' in brackets takes no key", "use braces for an object");
  if (!object && loop.grouped) fail(span, "a 'for' in brackets takes no ...", "use braces for an object");
  const std::initializer_list<ExpressionPtr> children = {loop.from, loop.key, loop.value, loop.condition};
  return make_expression(loop, span, children);
}

ExpressionPtr read_tuple(Reader& reader) {
  const std::size_t begin = reader.pos++;
  const Nested nested(reader, false);
  if (next_word_is(reader, "for")) return read_for(reader, begin, false);
  Tuple tuple;
  while (!accept(reader, "]")) {
    if (reader.at_end()) fail(reader.span(begin, begin + 1), "list is not closed", "close it with ]");
    tuple.items.push_back(read_expression(reader));
    if (accept(reader, ",")) continue;
    if (!reader.at_end()) expect(reader, "]", "expected a comma before the next element");
    if (reader.text[reader.pos - 1] == ']') break;
  }
  auto children = tuple.items;
  return make_expression(std::move(tuple), reader.span_from(begin), children);
}

/// A bare word is a string; one in parentheses is a variable.
ExpressionPtr read_key(Reader& reader) {
  ExpressionPtr key = read_expression(reader);
  if (const std::string* word = as_word(*key)) return make_expression(Literal{Value::string(*word)}, key->span, {});
  return key;
}

void read_object_item(Reader& reader, Object& object) {
  ExpressionPtr key = read_key(reader);
  if (!accept(reader, "=") && !accept(reader, ":"))
    fail_here(reader, "expected = and a value after the key", "a key with dots or blanks goes in quotes");
  if (reader.looking_at("=")) fail_here(reader, "expected a value after =");
  ExpressionPtr value = read_expression(reader);
  object.items.emplace_back(std::move(key), std::move(value));
}

ExpressionPtr read_object(Reader& reader) {
  const std::size_t begin = reader.pos++;
  const Nested nested(reader, true);
  reader.newlines = false;
  const bool is_for = next_word_is(reader, "for");
  if (is_for) return read_for(reader, begin, true);
  reader.newlines = true;
  Object object;
  std::vector<ExpressionPtr> children;
  for (skip_lines(reader); !accept(reader, "}"); skip_lines(reader)) {
    if (reader.at_end()) fail(reader.span(begin, begin + 1), "object is not closed", "close it with }");
    read_object_item(reader, object);
    children.push_back(object.items.back().first);
    children.push_back(object.items.back().second);
    skip_blanks(reader);
    if (accept(reader, ",") || reader.peek() == '\n' || reader.peek() == '}') continue;
    if (!reader.at_end()) fail_here(reader, "expected a comma or a new line before the next key");
  }
  return make_expression(std::move(object), reader.span_from(begin), children);
}

ExpressionPtr read_parentheses(Reader& reader) {
  const std::size_t begin = reader.pos++;
  const Nested nested(reader, false);
  ExpressionPtr inner = read_expression(reader);
  expect(reader, ")", "expected ) to close the parentheses");
  return make_expression(Parentheses{inner}, reader.span_from(begin), {inner});
}

ExpressionPtr read_with_traversals(Reader& reader);

ExpressionPtr read_unary(Reader& reader, Operator operation) {
  const std::size_t begin = reader.pos++;
  const Nested nested(reader, reader.newlines);
  ExpressionPtr operand = read_with_traversals(reader);
  return make_expression(Unary{operation, operand}, reader.span_from(begin), {operand});
}

ExpressionPtr read_term(Reader& reader) {
  skip_blanks(reader);
  const char c = reader.peek();
  if (reader.at_end()) fail_here(reader, "expected a value, found the end of the file");
  if (c == '(') return read_parentheses(reader);
  if (c == '[') return read_tuple(reader);
  if (c == '{') return read_object(reader);
  if (c == '"') {
    const std::size_t open = reader.pos++;
    return read_quoted(reader, open);
  }
  if (reader.looking_at("<<")) return read_heredoc(reader);
  if (c == '-') return read_unary(reader, Operator::negate);
  if (c == '!') return read_unary(reader, Operator::invert);
  if (c >= '0' && c <= '9') return number_literal(reader);
  if (at_word(reader)) return read_name(reader);
  if (c == '\'') fail_here(reader, "expected a value", "strings are in double quotes");
  fail_here(reader, "expected a value");
}

ExpressionPtr read_traversals(Reader& reader, ExpressionPtr from);

/// After ".*": names and numbers that follow are taken of each element.
ExpressionPtr read_attribute_splat(Reader& reader, ExpressionPtr from) {
  ExpressionPtr each = make_expression(CurrentItem{}, reader.span(reader.pos - 2, reader.pos), {});
  while (reader.peek() == '.' && reader.peek(1) != '.') {
    ++reader.pos;
    if (!at_word(reader)) fail_here(reader, "expected a name after the dot");
    std::string name = read_word(reader);
    each = make_expression(Attribute{each, std::move(name)}, reader.span_from(each->span.begin), {each});
  }
  const Span span = joined(from, each->span);
  return make_expression(Splat{from, each}, span, {from, each});
}

/// After ".".
ExpressionPtr read_dot(Reader& reader, ExpressionPtr from) {
  skip_blanks(reader);
  if (reader.peek() == '*') {
    ++reader.pos;
    return read_attribute_splat(reader, std::move(from));
  }
  const std::size_t begin = reader.pos;
  while (reader.peek() >= '0' && reader.peek() <= '9') ++reader.pos;
  if (reader.pos > begin) {
    const auto number = Number::parse(reader.text.substr(begin, reader.pos - begin));
    if (!number) fail(reader.span_from(begin), "invalid index");
    ExpressionPtr key = make_expression(Literal{Value::number(*number)}, reader.span_from(begin), {});
    return make_expression(Index{from, key}, joined(from, key->span), {from, key});
  }
  if (!at_word(reader)) fail_here(reader, "expected a name after the dot");
  std::string name = read_word(reader);
  return make_expression(Attribute{from, std::move(name)}, joined(from, reader.span_from(begin)), {from});
}

/// After "[".
ExpressionPtr read_bracket(Reader& reader, ExpressionPtr from) {
  if (accept(reader, "*")) {
    expect(reader, "]", "expected ] after the star");
    const ExpressionPtr item = make_expression(CurrentItem{}, reader.span(reader.pos - 3, reader.pos), {});
    ExpressionPtr each = read_traversals(reader, item);
    return make_expression(Splat{from, each}, joined(from, each->span), {from, each});
  }
  const Nested nested(reader, false);
  ExpressionPtr key = read_expression(reader);
  expect(reader, "]", "expected ] after the index");
  return make_expression(Index{from, key}, joined(from, reader.span_from(key->span.begin)), {from, key});
}

ExpressionPtr read_traversals(Reader& reader, ExpressionPtr from) {
  while (true) {
    const std::size_t end = reader.pos;
    skip_blanks(reader);
    if (reader.peek() == '.' && !reader.looking_at("...")) {
      ++reader.pos;
      from = read_dot(reader, std::move(from));
    } else if (reader.peek() == '[') {
      ++reader.pos;
      from = read_bracket(reader, std::move(from));
    } else {
      reader.pos = end;
      return from;
    }
  }
}

ExpressionPtr read_with_traversals(Reader& reader) { return read_traversals(reader, read_term(reader)); }

ExpressionPtr read_binary(Reader& reader, int least) {
  ExpressionPtr left = read_with_traversals(reader);
  while (true) {
    const std::size_t end = reader.pos;
    const OperatorWord* word = next_operator(reader);
    if (!word || word->precedence < least) {
      reader.pos = end;
      return left;
    }
    reader.pos += word->text.size();
    ExpressionPtr right = read_binary(reader, word->precedence + 1);
    const Span span = joined(left, right->span);
    left = make_expression(Binary{word->operation, left, right}, span, {left, right});
  }
}

}  // namespace

ExpressionPtr read_expression(Reader& reader) {
  const Nested nested(reader, reader.newlines);
  ExpressionPtr condition = read_binary(reader, 1);
  const std::size_t end = reader.pos;
  if (!accept(reader, "?")) {
    reader.pos = end;
    return condition;
  }
  ExpressionPtr yes = read_expression(reader);
  expect(reader, ":", "expected a colon and the other value of the conditional");
  ExpressionPtr no = read_expression(reader);
  return make_expression(Conditional{condition, yes, no}, joined(condition, no->span), {condition, yes, no});
}

}  // namespace cbuild::bake::hcl
