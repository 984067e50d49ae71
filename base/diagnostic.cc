// SPDX-License-Identifier: Apache-2.0
// Shows a mistake as compilers do: place, message, the line, and a marker under the span. Everything that comes from a
// file is made harmless first (control characters, Unicode that reorders text) and tabs are expanded, so columns are
// counted on the text as it is displayed: line and marker are built in one walk. A long line is cut to a window around
// the span.
#include "base/diagnostic.h"

#include <algorithm>

#include "base/error.h"
#include "base/suggestion.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild {

namespace {

constexpr std::size_t kTabWidth = 4;
/// A line longer than kWindow bytes is shown from kLead bytes before the span on.
constexpr std::size_t kWindow = 120, kLead = 40;
constexpr std::string_view kCut = "...";

/// The lines a span touches; an end at the start of a line does not touch it.
struct LineRange {
  std::uint32_t first, last;
};

LineRange touched_lines(const Span& span) {
  const std::uint32_t first = span.source->position(span.begin).line;
  const std::size_t last_byte = span.end > span.begin ? span.end - 1 : span.begin;
  return {first, std::max(first, span.source->position(last_byte).line)};
}

std::string one_line(std::string_view text) { return replace_all(sanitize_for_terminal(text), "\n", "^J"); }

/// Appends `text` made harmless to `out`, whose columns so far are `column`; returns the new column.
std::size_t append_display(std::string& out, std::size_t column, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t tab = std::min(text.find('\t', at), text.size());
    const std::string piece = one_line(text.substr(at, tab - at));
    out += piece;
    column += count_runes(piece);
    if (tab < text.size()) {
      const std::size_t blanks = kTabWidth - column % kTabWidth;
      out.append(blanks, ' ');
      column += blanks;
    }
    at = tab + 1;
  }
  return column;
}

bool inside_rune(std::string_view line, std::size_t at) {
  return at > 0 && at < line.size() && (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80;
}

struct MarkedLine {
  std::string text, marker;
};

/// Shows `line` with the bytes [begin, end) marked, cut to a window around them.
MarkedLine mark(std::string_view line, std::size_t begin, std::size_t end) {
  std::size_t from = 0, to = line.size();
  if (line.size() > kWindow) {
    from = begin > kLead ? begin - kLead : 0;
    to = std::min(line.size(), from + kWindow);
    while (inside_rune(line, from)) --from;
    while (inside_rune(line, to)) ++to;
  }
  end = std::min(end, to);
  MarkedLine out;
  std::size_t column = from > 0 ? append_display(out.text, 0, kCut) : 0;
  column = append_display(out.text, column, line.substr(from, begin - from));
  const std::size_t start = column;
  column = append_display(out.text, column, line.substr(begin, end - begin));
  out.marker = std::string(start, ' ') + '^';
  if (column > start) out.marker.append(column - start - 1, '~');
  append_display(out.text, column, line.substr(end, to - end));
  if (to < line.size()) out.text += kCut;
  return out;
}

std::string gutter(std::uint32_t number, std::size_t width) {
  const std::string digits = number == 0 ? "" : std::to_string(number);
  return cat("  ", std::string(width - digits.size(), ' '), digits, " |");
}

std::string with_gutter(std::uint32_t number, std::size_t width, std::string_view text) {
  return cat(gutter(number, width), text.empty() ? "" : " ", text, '\n');
}

std::string render_marked_lines(const Span& span, std::size_t max_lines) {
  const auto [first, last] = touched_lines(span);
  const std::uint32_t shown = static_cast<std::uint32_t>(std::min<std::size_t>(last - first + 1, max_lines));
  const std::size_t width = std::to_string(first + shown).size();
  std::string out;
  for (std::uint32_t number = first; number < first + shown; ++number) {
    const std::string_view line = span.source->line(number);
    const std::size_t indent = std::min(line.find_first_not_of(" \t"), line.size());
    const std::size_t begin = number == first ? span.source->position(span.begin).column - 1 : indent;
    std::size_t end = line.size();
    if (number == last)
      end = std::min(end,
                     span.source->position(span.end).line == last ? span.source->position(span.end).column - 1 : end);
    const MarkedLine marked = mark(line, std::min(begin, line.size()), std::max(std::min(begin, line.size()), end));
    out += with_gutter(number, width, marked.text);
    if (!line.empty() || first == last) out += with_gutter(0, width, marked.marker);
  }
  if (first + shown <= last) out += with_gutter(0, width, cat("(", last - first + 1 - shown, " more lines)"));
  return out;
}

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  CBUILD_CHECK(false);
}

}  // namespace

SourceText::SourceText(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
  line_starts_.push_back(0);
  for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1))
    line_starts_.push_back(at + 1);
}

SourceText::Position SourceText::position(std::size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  return {static_cast<std::uint32_t>(next - line_starts_.begin()), static_cast<std::uint32_t>(offset - next[-1] + 1)};
}

std::string_view SourceText::line(std::uint32_t number) const {
  if (number == 0 || number > line_starts_.size()) return {};
  const std::size_t begin = line_starts_[number - 1];
  const std::size_t end = number < line_starts_.size() ? line_starts_[number] - 1 : text_.size();
  std::string_view line = std::string_view(text_).substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::uint32_t SourceText::line_count() const {
  const bool open_end = line_starts_.back() < text_.size();
  return static_cast<std::uint32_t>(line_starts_.size() - (open_end ? 0 : 1));
}

std::string render(const Diagnostic& diagnostic, std::size_t max_lines) {
  std::string out;
  const Span& span = diagnostic.span;
  if (span) {
    const SourceText::Position at = span.source->position(span.begin);
    out += cat(one_line(span.source->name()), ':', at.line, ':', at.column, ": ");
  }
  out += cat(severity_name(diagnostic.severity), ": ",
             with_suggestion(one_line(diagnostic.message), one_line(diagnostic.hint)));
  if (!diagnostic.rule.empty()) out += cat(" [", one_line(diagnostic.rule), ']');
  out += '\n';
  if (span) out += render_marked_lines(span, max_lines);
  if (!diagnostic.hint.empty() && !is_suggestion(diagnostic.hint))
    out += cat("  hint: ", one_line(diagnostic.hint), '\n');
  return out;
}

std::string render_excerpt(const Span& span, std::size_t context) {
  if (!span) return {};
  const auto [first, last] = touched_lines(span);
  const std::uint32_t margin = static_cast<std::uint32_t>(std::min<std::size_t>(context, 1u << 20));
  const std::uint32_t begin = first > margin ? first - margin : 1;
  const std::uint32_t end = std::max(last, std::min(last + margin, span.source->line_count()));
  const std::size_t width = std::to_string(end).size();
  std::string out;
  for (std::uint32_t number = begin; number <= end; ++number) {
    const bool touched = number >= first && number <= last;
    const std::string text = mark(span.source->line(number), 0, 0).text;
    std::string row = cat(gutter(number, width), touched ? " >>> " : "     ", text);
    row.resize(row.find_last_not_of(' ') + 1);
    out += row + '\n';
  }
  return out;
}

DiagnosticError::DiagnosticError(std::vector<Diagnostic> diagnostics) : diagnostics_(std::move(diagnostics)) {}

const char* DiagnosticError::what() const noexcept {
  const auto first = std::find_if(diagnostics_.begin(), diagnostics_.end(),
                                  [](const Diagnostic& d) { return d.severity == Severity::error; });
  if (first != diagnostics_.end()) return first->message.c_str();
  return diagnostics_.empty() ? "invalid input" : diagnostics_.front().message.c_str();
}

}  // namespace cbuild
