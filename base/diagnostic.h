// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild {

/// A text the user wrote, with the name it is shown under. Immutable once built; shared by every span into it.
class SourceText {
 public:
  SourceText(std::string name, std::string text);

  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }
  /// 1-based line and column (in bytes) of a byte offset; the end of the text is a valid offset.
  struct Position {
    std::uint32_t line = 1, column = 1;
  };
  Position position(std::size_t offset) const;
  /// Line `number` (1-based) without its line end; empty past the end.
  std::string_view line(std::uint32_t number) const;
  std::uint32_t line_count() const;

 private:
  std::string name_, text_;
  std::vector<std::size_t> line_starts_;
};

/// Half-open byte range [begin, end) of one SourceText. A default span points nowhere.
struct Span {
  std::shared_ptr<const SourceText> source;
  std::size_t begin = 0, end = 0;

  bool operator==(const Span&) const = default;
  explicit operator bool() const { return source != nullptr; }
};

enum class Severity { error, warning, note };

/// Something the user wrote wrong, as a value. Many may be collected in one run.
struct Diagnostic {
  Severity severity = Severity::error;
  Span span;            ///< may be empty, for example for a missing file
  std::string message;  ///< one sentence, no full stop
  std::string hint;     ///< what to do about it; may be empty
  std::string rule;     ///< name of the build check that found it; empty for plain errors

  bool operator==(const Diagnostic&) const = default;
};

/// "Dockerfile:4:7: error: unknown instruction: FRMO (did you mean FROM?)\n  4 | FRMO x\n    | ^~~~\n"; other hints
/// follow. Spans over several lines mark each of them, at most `max_lines`. A rule follows the message in brackets.
/// Tabs are expanded, long lines are cut around the span, control characters are made visible.
std::string render(const Diagnostic& diagnostic, std::size_t max_lines = 8);

/// The lines a span touches, with `context` lines around, numbered, and the touched ones marked with ">>>"; empty for
/// an empty span.
std::string render_excerpt(const Span& span, std::size_t context = 2);

/// Carries diagnostics out of a pass that cannot go on. what() is the first error's message.
class DiagnosticError : public std::exception {
 public:
  explicit DiagnosticError(std::vector<Diagnostic> diagnostics);
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  const char* what() const noexcept override;

 private:
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace cbuild
