// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Physical lines joined over continuations, without the comments and blank lines between them, and the way back from
/// each byte of the joined text to the byte of the source it came from.
class LogicalLine {
 public:
  std::string text;                  ///< joined with nothing in between; line ends dropped
  std::vector<std::string> comment;  ///< the comment lines above
  std::size_t begin = 0, end = 0;    ///< in the source: first character up to the end of the last line read
  std::size_t last_line = 0;         ///< in the source: where the last line read begins
  bool empty_continuation = false;   ///< a blank line stood among the continued ones

  /// Place in the source of the byte at `offset` of text; the end of text is a valid offset.
  std::size_t source_offset(std::size_t offset) const;
  /// Appends `piece`, which stands at `source` in the source.
  void append(std::string_view piece, std::size_t source);
  void clear();

 private:
  struct Piece {
    std::size_t joined, source;
  };
  std::vector<Piece> pieces_;
};

/// Cuts a Dockerfile into logical lines and heredoc bodies, in order, in time linear in the text. Not thread-safe.
class LineReader {
 public:
  /// Longest physical line the language allows, without its newline.
  static constexpr std::size_t kMaxLine = 65535;

  /// Reads `text` (which outlives the reader) from `start`; `escape` continues lines.
  LineReader(std::string_view text, std::size_t start, char escape);

  /// The next line that is neither blank nor a comment; false at the end of the text.
  bool next(LogicalLine& line);

  struct Body {
    std::string text;  ///< as written, line ends included
    bool terminated = false;
    std::size_t begin = 0, end = 0;        ///< in the source, terminator line included
    std::optional<std::size_t> near_miss;  ///< a line that is the terminator but for blanks around it
  };
  /// Reads lines up to one that equals `terminator`, where leading tabs do not count if `strip_tabs`.
  Body read_body(std::string_view terminator, bool strip_tabs);

  /// Where a line longer than kMaxLine begins; reading ends there.
  std::optional<std::size_t> too_long() const { return too_long_; }
  /// Number of bytes read so far.
  std::size_t position() const { return position_; }

 private:
  struct Physical {
    std::size_t begin, end, next;
    std::string_view text;
  };  // [begin, end) without line end
  bool read(Physical& line);
  void note_comment(std::string_view line);
  void continue_line(LogicalLine& line);

  std::string_view text_;
  std::size_t position_;
  char escape_;
  std::vector<std::string> comment_;
  std::optional<std::size_t> too_long_;
};

/// Whether the first character of `line` that is not a blank is '#'.
bool is_comment(std::string_view line);
/// `line` without a continuation mark at its end; nullopt if it has none. The mark is the escape character, blanks may
/// follow, and another escape character right before it takes its meaning away.
std::optional<std::string_view> strip_continuation(std::string_view line, char escape);
/// Length of a byte order mark at the start of `text`: 3 or 0.
std::size_t bom_length(std::string_view text);

}  // namespace cbuild::frontend
