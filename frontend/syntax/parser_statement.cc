// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/parser_statement.h"

#include <algorithm>
#include <utility>

#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

Range trim_range(std::string_view text, Range part) {
  const std::string_view trimmed = utf8::trim(part.of(text));
  if (trimmed.empty()) return {part.end, part.end};
  const auto begin = static_cast<std::size_t>(trimmed.data() - text.data());
  return {begin, begin + trimmed.size()};
}

Flag make_flag(const Statement& statement, const FlagWord& flag, std::size_t offset) {
  const Range written{offset + flag.range.begin, offset + flag.range.end};
  const std::size_t sign = std::min(statement.view(written).find('='), written.end - written.begin) + written.begin;
  const std::size_t equals = flag.word.find('=');
  Flag out;
  out.name = {flag.word.substr(2, equals == std::string::npos ? equals : equals - 2),
              statement.span({written.begin, sign})};
  if (equals != std::string::npos) {
    out.value = Text{flag.word.substr(equals + 1), statement.span({std::min(sign + 1, written.end), written.end})};
  }
  return out;
}

}  // namespace

Span Statement::span(Range part) const {
  const std::size_t begin = line->source_offset(part.begin);
  if (part.begin >= part.end) return {source, begin, begin};
  return {source, begin, line->source_offset(part.end - 1) + 1};
}

Text Statement::text(Range part) const { return {std::string(view(part)), span(part)}; }

Statement split_statement(std::shared_ptr<const SourceText> source, const LogicalLine& line, Range part, char escape) {
  constexpr std::string_view kBlank = "\t\v\f\r ";
  Statement statement;
  statement.source = std::move(source);
  statement.line = &line;
  statement.escape = escape;
  const Range whole = trim_range(line.text, part);
  const std::string_view text = whole.of(line.text);
  const std::size_t keyword = std::min(text.find_first_of(kBlank), text.size());
  statement.keyword = {whole.begin, whole.begin + keyword};
  const std::size_t offset = whole.begin + std::min(text.find_first_not_of(kBlank, keyword), text.size());
  const FlagsPrefix prefix = parse_flags(statement.view({offset, whole.end}), escape);
  for (const FlagWord& flag : prefix.flags) statement.flags.push_back(make_flag(statement, flag, offset));
  statement.rest = trim_range(line.text, {offset + prefix.rest, whole.end});
  return statement;
}

}  // namespace cbuild::frontend
