// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/heredoc.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/error.h"
#include "frontend/text/expand.h"
#include "frontend/text/grammar.h"

namespace cbuild::frontend {
namespace {

std::optional<std::string> nothing_set(std::string_view) { return std::nullopt; }

std::vector<std::string> shell_words(std::string_view text, bool raw_quotes, bool raw_escapes) {
  ExpandOptions options;
  options.raw_quotes = raw_quotes;
  options.raw_escapes = raw_escapes;
  options.skip_unset = true;
  return expand_words(text, nothing_set, options);
}

auto count_quotes(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return c == '\'' || c == '"'; });
}

unsigned parse_descriptor(std::string_view digits) {
  unsigned value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return result.ec == std::errc::result_out_of_range ? std::numeric_limits<unsigned>::max() : value;
}

}  // namespace

std::optional<Heredoc> parse_heredoc(std::string_view word) {
  const auto parsed = parse_heredoc_operator(word);
  if (!parsed || parsed->word.begin == parsed->word.end) return std::nullopt;
  const std::string_view written = parsed->word.of(word);
  const auto names = shell_words(written, false, false);
  if (names.size() != 1) return std::nullopt;
  const auto quoted = shell_words(written, true, false);
  Heredoc heredoc;
  heredoc.name.value = names.front();
  heredoc.expand = count_quotes(names.front()) == count_quotes(quoted.empty() ? "" : quoted.front());
  heredoc.strip_tabs = parsed->strip_tabs;
  heredoc.fd = parse_descriptor(parsed->descriptor.of(word));
  return heredoc;
}

std::optional<Heredoc> try_parse_heredoc(std::string_view word) {
  try {
    return parse_heredoc(word);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<HeredocOnLine> find_heredocs(std::string_view line) {
  std::vector<std::string> words;
  try {
    words = shell_words(line, true, true);
  } catch (const Error&) {
    return {};
  }
  std::vector<HeredocOnLine> found;
  std::size_t from = 0;
  for (const std::string& word : words) {
    auto heredoc = parse_heredoc(word);
    if (!heredoc) continue;
    const std::size_t at = line.find(word, from);
    const bool shown = at != std::string_view::npos;
    found.push_back({std::move(*heredoc), shown ? Range{at, at + word.size()} : Range{0, line.size()}});
    from = shown ? at + word.size() : line.size();
  }
  return found;
}

std::string strip_leading_tabs(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  while (!body.empty()) {
    body.remove_prefix(std::min(body.find_first_not_of('\t'), body.size()));
    const std::size_t newline = body.find('\n');
    const std::size_t length = newline == std::string_view::npos ? body.size() : newline + 1;
    out += body.substr(0, length);
    body.remove_prefix(length);
  }
  return out;
}

}  // namespace cbuild::frontend
