// SPDX-License-Identifier: Apache-2.0
// Go's filepath.Match. The pattern is cut at its stars; each piece is put at the first place where it fits and never
// moved again, so that the time is at most (length of the pattern) x (length of the path).
#include "base/pattern/glob.h"

#include <algorithm>

#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild {

namespace detail {

Glob::Glob(std::string_view pattern) {
  chunks_.emplace_back();
  while (!pattern.empty() && !malformed_) malformed_ = !append(pattern);
}

/// Takes one item off the pattern; false if there is none.
bool Glob::append(std::string_view& pattern) {
  std::vector<Token>& tokens = chunks_.back().tokens;
  char c = pattern.front();
  if (c == '[') {
    std::optional<Token> set = parse_set(pattern);
    if (set) tokens.push_back(std::move(*set));
    return set.has_value();
  }
  pattern.remove_prefix(1);
  if (c == '*') {
    if (!tokens.empty()) chunks_.emplace_back();
    chunks_.back().after_star = true;
    return true;
  }
  if (c == '?') {
    tokens.push_back({Token::Kind::any, {}, {}});
    return true;
  }
  if (c == '\\') {
    if (pattern.empty()) return false;
    c = pattern.front();
    pattern.remove_prefix(1);
  }
  if (tokens.empty() || tokens.back().kind != Token::Kind::text) tokens.push_back({Token::Kind::text, {}, {}});
  tokens.back().text += c;
  return true;
}

std::optional<Glob::Token> Glob::parse_set(std::string_view& pattern) {
  Token token{Token::Kind::set, {}, {}};
  pattern.remove_prefix(1);
  if (pattern.starts_with('^')) {
    token.set.negated = true;
    pattern.remove_prefix(1);
  }
  while (token.set.ranges.empty() || !pattern.starts_with(']')) {
    const std::optional<char32_t> first = parse_set_rune(pattern);
    std::optional<char32_t> last = first;
    if (first && pattern.front() == '-') {
      pattern.remove_prefix(1);
      last = parse_set_rune(pattern);
    }
    if (!first || !last) return std::nullopt;
    token.set.add(*first, *last);
  }
  pattern.remove_prefix(1);
  return token;
}

/// One member of a class; something has to follow it, at least the closing bracket.
std::optional<char32_t> Glob::parse_set_rune(std::string_view& pattern) {
  if (pattern.empty() || pattern.front() == '-' || pattern.front() == ']') return std::nullopt;
  if (pattern.front() == '\\') pattern.remove_prefix(1);
  if (pattern.empty()) return std::nullopt;
  const Rune rune = decode_rune(pattern);
  pattern.remove_prefix(rune.size);
  return rune.valid && !pattern.empty() ? std::optional(rune.value) : std::nullopt;
}

/// The rest of the text after the chunk; nullopt if the text does not begin with it.
std::optional<std::string_view> Glob::match_chunk(const Chunk& chunk, std::string_view text) {
  for (const Token& token : chunk.tokens) {
    if (token.kind == Token::Kind::text) {
      if (!text.starts_with(token.text)) return std::nullopt;
      text.remove_prefix(token.text.size());
      continue;
    }
    if (text.empty()) return std::nullopt;
    const Rune rune = decode_rune(text);
    const bool fits = token.kind == Token::Kind::any ? rune.value != '/' : token.set.contains(rune.value);
    if (!fits) return std::nullopt;
    text.remove_prefix(rune.size);
  }
  return text;
}

std::optional<bool> Glob::matches(std::string_view path) const {
  for (const Chunk& chunk : chunks_) {
    const bool last = &chunk == &chunks_.back();
    if (last && malformed_) return std::nullopt;
    if (last && chunk.after_star && chunk.tokens.empty()) return path.find('/') == std::string_view::npos;
    std::optional<std::string_view> rest = match_chunk(chunk, path);
    while (!rest || (last && !rest->empty())) {
      if (!chunk.after_star || path.empty() || path.front() == '/') return false;
      path.remove_prefix(1);
      rest = match_chunk(chunk, path);
    }
    path = *rest;
  }
  return path.empty();
}

}  // namespace detail

struct PathGlob::Impl {
  std::string pattern;
  /// One for each name of the pattern; nullopt stands for "**".
  std::vector<std::optional<detail::Glob>> segments;

  /// Which prefixes of the segments match the whole of `path`: element i stands for the first i segments.
  std::vector<bool> matched_prefixes(std::string_view path) const;
};

std::vector<bool> PathGlob::Impl::matched_prefixes(std::string_view path) const {
  std::vector<bool> reached(segments.size() + 1), next;
  reached[0] = true;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    for (std::size_t i = 0; i < segments.size(); ++i)
      if (reached[i] && !segments[i]) reached[i + 1] = true;
    next.assign(segments.size() + 1, false);
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (!reached[i]) continue;
      // "**" takes one name and stays, to take more; it has done its part as well.
      if (!segments[i])
        next[i] = next[i + 1] = true;
      else if (segments[i]->matches(name).value_or(false))
        next[i + 1] = true;
    }
    reached.swap(next);
  }
  return reached;
}

PathGlob::PathGlob(std::string pattern) {
  auto impl = std::make_shared<Impl>();
  std::string cleaned = clean_path(pattern);
  if (cleaned.starts_with('/')) cleaned.erase(0, 1);
  for (const std::string& name : split(cleaned, '/')) {
    detail::Glob glob(name);
    if (glob.malformed()) throw Error(ErrorCode::input, cat("invalid wildcard pattern ", go_quote(pattern)));
    impl->segments.push_back(name == "**" ? std::nullopt : std::optional(std::move(glob)));
  }
  impl->pattern = std::move(pattern);
  impl_ = std::move(impl);
}

bool PathGlob::matches(std::string_view path) const { return impl_->matched_prefixes(path).back(); }

bool PathGlob::could_match_below(std::string_view dir) const {
  const std::vector<bool> reached = impl_->matched_prefixes(dir == "." ? "" : dir);
  return std::find(reached.begin(), reached.end() - 1, true) != reached.end() - 1;
}

const std::string& PathGlob::pattern() const { return impl_->pattern; }

std::optional<bool> match_glob(std::string_view pattern, std::string_view path) {
  return detail::Glob(pattern).matches(path);
}

bool has_glob(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '*' || text[i] == '?' || text[i] == '[')
      return true;
  }
  return false;
}

std::string escape_glob(std::string_view name) {
  if (!has_glob(name)) return std::string(name);
  std::string out;
  for (const char c : name) {
    const bool special = c == '*' || c == '?' || c == '[';
    if (special) out += '[';  // a set with one member
    if (c == '\\') out += '\\';
    out += c;
    if (special) out += ']';
  }
  return out;
}

}  // namespace cbuild
