// SPDX-License-Identifier: Apache-2.0
// A pattern is a row of segments with a star between each two. From a given start, taking the leftmost place for every
// segment leaves the most room to those after it, so the leftmost place of the last one gives the shortest match and
// its rightmost place the longest. No choice is ever taken back, and what BuildKit gets from a regular expression
// comes out the same.
#include "frontend/text/expand_pattern.h"

#include <algorithm>

#include "base/error.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

constexpr char32_t kAny = 0x110000;  // past the last character

std::u32string to_runes(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const utf8::Rune rune = utf8::decode(text);
    out += rune.value;
    text.remove_prefix(rune.width);
  }
  return out;
}

std::string to_bytes(std::u32string_view runes) {
  std::string out;
  out.reserve(runes.size());
  for (const char32_t rune : runes) utf8::append(out, rune);
  return out;
}

std::size_t line_end(std::u32string_view value, std::size_t from) {
  return std::min(value.find(U'\n', from), value.size());
}

[[noreturn]] void fail_escape(char32_t rune) {
  std::string message = "invalid escape '\\";
  utf8::append(message, rune);
  throw Error(ErrorCode::input, message + "'");
}

bool is_name_rune(char32_t rune) { return rune == '_' || utf8::is_letter(rune) || utf8::is_digit(rune); }

/// Length of the name at the front of `text`.
std::size_t name_length(std::string_view text) {
  std::size_t length = 0;
  while (true) {
    const utf8::Rune rune = utf8::decode(text.substr(length));
    if (rune.width == 0 || !is_name_rune(rune.value)) return length;
    length += rune.width;
  }
}

/// Appends the replacement of the "$..." at the front of `text` and returns its length.
std::size_t expand_group(std::string_view text, std::string_view match, std::string& out) {
  if (text.substr(1).starts_with('$')) {
    out += '$';
    return 2;
  }
  const std::size_t brace = text.substr(1).starts_with('{') ? 1 : 0;
  const std::size_t length = name_length(text.substr(1 + brace));
  const bool closed = brace == 0 || text.substr(2 + length).starts_with('}');
  if (length == 0 || !closed) {
    out += '$';
    return 1;
  }
  if (text.substr(1 + brace, length) == "0") out += match;
  return 1 + length + 2 * brace;
}

std::string expand_template(std::string_view text, std::string_view match) {
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (!text.empty()) text.remove_prefix(expand_group(text, match, out));
  }
  return out;
}

}  // namespace

void fail_expansion_too_large() { throw Error(ErrorCode::input, "variable expansion produces more than 16 MiB"); }

WordPattern::WordPattern(std::string_view pattern) : segments_(1) {
  const std::u32string runes = to_runes(pattern);
  for (std::size_t i = 0; i < runes.size(); ++i) {
    const char32_t rune = runes[i];
    const char32_t next = i + 1 < runes.size() ? runes[i + 1] : utf8::kReplacement;
    if (rune == '*') {
      segments_.emplace_back();
    } else if (rune == '?') {
      segments_.back() += kAny;
    } else if (rune != '\\') {
      segments_.back() += rune;
    } else if (next == '*' || next == '?' || next == '\\') {
      segments_.back() += next;
      ++i;
    } else if (next != '}' && next != '/') {
      fail_escape(next);
    }
  }
}

bool WordPattern::fits(const Segment& segment, std::u32string_view value, std::size_t at) {
  if (at > value.size() || value.size() - at < segment.size()) return false;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const char32_t rune = value[at + i];
    if (segment[i] == kAny ? rune == '\n' : rune != segment[i]) return false;
  }
  return true;
}

/// Where `segment` stands in the text that a star starting at `from` can cover.
std::optional<std::size_t> WordPattern::find(const Segment& segment, std::u32string_view value, std::size_t from,
                                             bool rightmost) {
  const std::size_t last = line_end(value, from);
  for (std::size_t i = from; i <= last; ++i) {
    const std::size_t at = rightmost ? last - (i - from) : i;
    if (fits(segment, value, at)) return at;
  }
  return std::nullopt;
}

/// The end of the match whose first segment ends at `from`.
std::optional<std::size_t> WordPattern::match_rest(std::u32string_view value, std::size_t from, bool longest) const {
  for (std::size_t i = 1; i < segments_.size(); ++i) {
    const bool rightmost = longest && i + 1 == segments_.size();
    const auto at = find(segments_[i], value, from, rightmost);
    if (!at) return std::nullopt;
    from = *at + segments_[i].size();
  }
  return from;
}

std::optional<WordPattern::Match> WordPattern::search(std::u32string_view value, std::size_t from) const {
  const std::size_t head = segments_.front().size();
  for (std::size_t at = from; at + head <= value.size();) {
    if (!fits(segments_.front(), value, at)) {
      ++at;
      continue;
    }
    if (const auto end = match_rest(value, at + head, true)) return Match{at, *end};
    // A later start whose first segment ends on the same line has less room and fails as well.
    at = std::max(at + 1, line_end(value, at + head) + 1 - head);
  }
  return std::nullopt;
}

WordPattern WordPattern::reversed() const {
  WordPattern out = *this;
  std::reverse(out.segments_.begin(), out.segments_.end());
  for (Segment& segment : out.segments_) std::reverse(segment.begin(), segment.end());
  return out;
}

std::string WordPattern::trim_prefix(std::string_view value, bool longest) const {
  const std::u32string runes = to_runes(value);
  if (!fits(segments_.front(), runes, 0)) return std::string(value);
  const auto end = match_rest(runes, segments_.front().size(), longest);
  return end ? to_bytes(std::u32string_view(runes).substr(*end)) : std::string(value);
}

std::string WordPattern::trim_suffix(std::string_view value, bool longest) const {
  std::u32string runes = to_runes(value);
  std::reverse(runes.begin(), runes.end());
  const std::string rest = reversed().trim_prefix(to_bytes(runes), longest);
  runes = to_runes(rest);
  std::reverse(runes.begin(), runes.end());
  return to_bytes(runes);
}

std::string WordPattern::replace_first(std::string_view value, std::string_view replacement) const {
  const std::u32string runes = to_runes(value);
  const auto match = search(runes, 0);
  if (!match) return std::string(value);
  const std::u32string_view view = runes;
  return to_bytes(view.substr(0, match->begin)).append(replacement) + to_bytes(view.substr(match->end));
}

std::string WordPattern::replace_all(std::string_view value, std::string_view replacement) const {
  const std::u32string runes = to_runes(value);
  const std::u32string_view view = runes;
  std::string out;
  std::size_t copied = 0;
  for (std::size_t from = 0; from <= view.size();) {
    const auto match = search(view, from);
    if (!match) break;
    out += to_bytes(view.substr(copied, match->begin - copied));
    // An empty match right after another match does not count.
    if (match->end > copied || match->begin == 0) {
      out += expand_template(replacement, to_bytes(view.substr(match->begin, match->end - match->begin)));
    }
    if (out.size() > kMaxExpansion) fail_expansion_too_large();
    copied = match->end;
    from = std::max(from + 1, match->end);
  }
  return out + to_bytes(view.substr(copied));
}

}  // namespace cbuild::frontend
