// SPDX-License-Identifier: Apache-2.0
// Physical lines become logical ones: continuations are joined, comments and empty lines inside them dropped, comments
// above kept as the description of the instruction. A joined line remembers where each of its pieces came from, so that
// every diagnostic can point into the file as it was written.
#include "frontend/text/lines.h"

#include <algorithm>
#include <utility>

#include "frontend/text/utf8.h"

namespace cbuild::frontend {

std::size_t LogicalLine::source_offset(std::size_t offset) const {
  if (pieces_.empty()) return begin;
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                      [](std::size_t value, const Piece& piece) { return value < piece.joined; });
  const Piece& piece = after == pieces_.begin() ? pieces_.front() : *std::prev(after);
  return piece.source + (offset - piece.joined);
}

void LogicalLine::append(std::string_view piece, std::size_t source) {
  if (piece.empty()) return;
  pieces_.push_back({text.size(), source});
  text += piece;
}

void LogicalLine::clear() {
  text.clear();
  comment.clear();
  pieces_.clear();
  begin = end = last_line = 0;
  empty_continuation = false;
}

bool is_comment(std::string_view line) { return utf8::trim_left(line).starts_with('#'); }

std::optional<std::string_view> strip_continuation(std::string_view line, char escape) {
  std::size_t end = line.size();
  while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t')) --end;
  if (end == 0 || line[end - 1] != escape) return std::nullopt;
  if (end >= 2 && line[end - 2] == escape) return std::nullopt;
  return line.substr(0, end - 1);
}

std::size_t bom_length(std::string_view text) { return text.starts_with("\xEF\xBB\xBF") ? 3 : 0; }

LineReader::LineReader(std::string_view text, std::size_t start, char escape)
    : text_(text), position_(start), escape_(escape) {}

bool LineReader::read(Physical& line) {
  if (too_long_ || position_ >= text_.size()) return false;
  const std::size_t newline = text_.find('\n', position_);
  const std::size_t end = std::min(newline, text_.size());
  if (end - position_ > kMaxLine) {
    too_long_ = position_;
    return false;
  }
  line.begin = position_;
  line.next = newline == std::string_view::npos ? text_.size() : newline + 1;
  line.end = end;
  while (line.end > line.begin && text_[line.end - 1] == '\r') --line.end;
  line.text = text_.substr(line.begin, line.end - line.begin);
  position_ = line.next;
  return true;
}

void LineReader::note_comment(std::string_view line) {
  // One byte is dropped, not the '#': an indented comment keeps it, as in BuildKit, and so describes nothing.
  std::string text(utf8::trim(line.substr(1)));
  if (text.empty()) {
    comment_.clear();
  } else {
    comment_.push_back(std::move(text));
  }
}

bool LineReader::next(LogicalLine& line) {
  line.clear();
  Physical physical;
  while (read(physical)) {
    if (is_comment(physical.text)) {
      note_comment(physical.text);
      continue;
    }
    const std::string_view text = utf8::trim_left(physical.text);
    if (text.empty()) continue;
    const auto continued = strip_continuation(text, escape_);
    line.begin = physical.end - text.size();
    line.end = physical.end;
    line.last_line = physical.begin;
    line.append(continued.value_or(text), line.begin);
    if (continued) continue_line(line);
    line.comment = std::exchange(comment_, {});
    return true;
  }
  return false;
}

void LineReader::continue_line(LogicalLine& line) {
  Physical physical;
  while (read(physical)) {
    line.end = physical.end;
    line.last_line = physical.begin;
    if (is_comment(physical.text)) continue;
    if (utf8::trim_left(physical.text).empty()) {
      line.empty_continuation = true;
      continue;
    }
    const auto continued = strip_continuation(physical.text, escape_);
    line.append(continued.value_or(physical.text), physical.begin);
    if (!continued) return;
  }
}

LineReader::Body LineReader::read_body(std::string_view terminator, bool strip_tabs) {
  Body body;
  body.begin = position_;
  std::size_t body_end = position_;
  Physical physical;
  while (read(physical)) {
    std::string_view line = physical.text;
    if (strip_tabs) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    body.end = physical.end;
    if (line == terminator) {
      body.terminated = true;
      break;
    }
    body_end = physical.next;
    if (!body.near_miss && line.size() < kMaxLine && utf8::trim(line) == terminator) body.near_miss = physical.begin;
  }
  body.text = text_.substr(body.begin, body_end - body.begin);
  body.end = std::max(body.end, body.begin);
  return body;
}

}  // namespace cbuild::frontend
