// SPDX-License-Identifier: Apache-2.0
// How mistakes are shown: each case compares the whole text, marker and columns included.
#include "base/diagnostic.h"

#include <doctest/doctest.h>

namespace cbuild {

namespace {

std::shared_ptr<const SourceText> source(std::string text) {
  return std::make_shared<const SourceText>("Dockerfile", std::move(text));
}

/// The first place where `part` stands in the text.
Span span_of(const std::shared_ptr<const SourceText>& text, std::string_view part) {
  const std::size_t begin = text->text().find(part);
  return {text, begin, begin + part.size()};
}

Diagnostic error_at(Span span, std::string message, std::string hint = "") {
  return {Severity::error, std::move(span), std::move(message), std::move(hint), ""};
}

}  // namespace

TEST_CASE("positions are 1-based and count bytes") {
  const SourceText text("f", "ab\n\u00e9x\r\n\nlast");
  const auto at = [&](std::size_t offset) {
    return std::pair(text.position(offset).line, text.position(offset).column);
  };
  CHECK(at(0) == std::pair(1u, 1u));
  CHECK(at(2) == std::pair(1u, 3u));
  CHECK(at(3) == std::pair(2u, 1u));
  CHECK(at(5) == std::pair(2u, 3u));
  CHECK(at(8) == std::pair(3u, 1u));
  CHECK(at(9) == std::pair(4u, 1u));
  CHECK(at(13) == std::pair(4u, 5u));
  CHECK(at(99) == std::pair(4u, 5u));
}

TEST_CASE("lines come without their ends") {
  const SourceText text("f", "ab\nx\r\n\nlast");
  CHECK(text.line_count() == 4);
  CHECK(text.line(1) == "ab");
  CHECK(text.line(2) == "x");
  CHECK(text.line(3) == "");
  CHECK(text.line(4) == "last");
  CHECK(text.line(0) == "");
  CHECK(text.line(5) == "");
  CHECK(SourceText("f", "").line_count() == 0);
  CHECK(SourceText("f", "a").line_count() == 1);
  CHECK(SourceText("f", "a\n").line_count() == 1);
  CHECK(SourceText("f", "\n\n").line_count() == 2);
}

TEST_CASE("a diagnostic shows its line, a marker and the hint") {
  const auto text = source("FROM a\n\n\nFRMO x\n");
  CHECK(render(error_at(span_of(text, "FRMO"), "unknown instruction: FRMO", "did you mean FROM?")) ==
        "Dockerfile:4:1: error: unknown instruction: FRMO (did you mean FROM?)\n"
        "  4 | FRMO x\n"
        "    | ^~~~\n");
}

TEST_CASE("a diagnostic without a place is one line") {
  CHECK(render(error_at({}, "no such file")) == "error: no such file\n");
  CHECK(render({Severity::note, {}, "m", "h", ""}) == "note: m\n  hint: h\n");
}

TEST_CASE("a build check names its rule") {
  const auto text = source("from a");
  CHECK(render({Severity::warning, span_of(text, "from"), "casing", "", "ConsistentCasing"}) ==
        "Dockerfile:1:1: warning: casing [ConsistentCasing]\n"
        "  1 | from a\n"
        "    | ^~~~\n");
}

TEST_CASE("an empty span marks one column, also at the end of the text") {
  const auto text = source("RUN a");
  CHECK(render(error_at({text, 5, 5}, "m")) == "Dockerfile:1:6: error: m\n  1 | RUN a\n    |      ^\n");
  const auto ended = source("RUN\n");
  CHECK(render(error_at({ended, 4, 4}, "m")) == "Dockerfile:2:1: error: m\n  2 |\n    | ^\n");
}

TEST_CASE("tabs and characters of several bytes keep the marker in place") {
  const auto tabs = source("\tRUN\tx y");
  CHECK(render(error_at(span_of(tabs, "x"), "m")) ==
        "Dockerfile:1:6: error: m\n"
        "  1 |     RUN x y\n"
        "    |         ^\n");
  const auto wide = source("RUN \u00e9\u00e9 bad");
  CHECK(render(error_at(span_of(wide, "bad"), "m")) ==
        "Dockerfile:1:10: error: m\n"
        "  1 | RUN \u00e9\u00e9 bad\n"
        "    |        ^~~\n");
}

TEST_CASE("untrusted text cannot move the cursor") {
  const auto text = source("RUN \x1b[2J bad\r");
  CHECK(render(error_at(span_of(text, "bad"), "a\x1b[0m\nfake: error", "x\nb")) ==
        "Dockerfile:1:10: error: a^[[0m^Jfake: error\n"
        "  1 | RUN ^[[2J bad\n"
        "    |           ^~~\n"
        "  hint: x^Jb\n");
}

TEST_CASE("a span over several lines marks each, and not more than asked for") {
  const auto text = source("RUN a \\\n  b \\\n\n  c\nCMD d\n");
  const Span span{text, 4, text->text().find("\nCMD")};
  CHECK(render(error_at(span, "m")) ==
        "Dockerfile:1:5: error: m\n"
        "  1 | RUN a \\\n"
        "    |     ^~~\n"
        "  2 |   b \\\n"
        "    |   ^~~\n"
        "  3 |\n"
        "  4 |   c\n"
        "    |   ^\n");
  CHECK(render(error_at(span, "m"), 2) ==
        "Dockerfile:1:5: error: m\n"
        "  1 | RUN a \\\n"
        "    |     ^~~\n"
        "  2 |   b \\\n"
        "    |   ^~~\n"
        "    | (2 more lines)\n");
}

TEST_CASE("a span that ends with a line end touches one line") {
  const auto text = source("ab\ncd\n");
  CHECK(render(error_at({text, 0, 3}, "m")) == "Dockerfile:1:1: error: m\n  1 | ab\n    | ^~\n");
}

TEST_CASE("numbers of different width are aligned") {
  std::string lines;
  for (int i = 0; i < 11; ++i) lines += "x\n";
  const auto text = source(lines);
  CHECK(render(error_at({text, 16, 20}, "m")) ==
        "Dockerfile:9:1: error: m\n"
        "   9 | x\n"
        "     | ^\n"
        "  10 | x\n"
        "     | ^\n");
}

TEST_CASE("a very long line is shown around the span") {
  const auto text = source("RUN " + std::string(100'000, 'a') + " bad " + std::string(100'000, 'b'));
  CHECK(render(error_at(span_of(text, " bad"), "m")) ==
        "Dockerfile:1:100005: error: m\n"
        "  1 | ..." +
            std::string(40, 'a') + " bad " + std::string(75, 'b') +
            "...\n"
            "    | " +
            std::string(43, ' ') + "^~~~\n");
  const auto cut = source(std::string(50'000, 'a') + "\u00e9" + std::string(39, 'b') + "X" + std::string(1'000, 'c'));
  const std::string shown = render(error_at(span_of(cut, "X"), "m"));
  CHECK(shown.find("...\u00e9bbb") != std::string::npos);
  CHECK(render(error_at({cut, 10, 50'000}, "m")).size() < 400);
}

TEST_CASE("an excerpt shows the context of a span") {
  const auto text = source("FROM a\n\nRUN x \\\n  y\nCMD z\nUSER u\n");
  CHECK(render_excerpt(span_of(text, "RUN x \\\n  y"), 1) ==
        "  2 |\n"
        "  3 | >>> RUN x \\\n"
        "  4 | >>>   y\n"
        "  5 |     CMD z\n");
  CHECK(render_excerpt(span_of(text, "FROM"), 0) == "  1 | >>> FROM a\n");
  CHECK(render_excerpt(span_of(text, "USER"), 2) == "  4 |       y\n  5 |     CMD z\n  6 | >>> USER u\n");
  CHECK(render_excerpt(span_of(text, "FROM"), SIZE_MAX).find("USER u") != std::string::npos);
  CHECK(render_excerpt({}) == "");
}

TEST_CASE("a diagnostic error says the first error") {
  const Diagnostic warning{Severity::warning, {}, "w", "", ""}, error{Severity::error, {}, "e", "", ""};
  CHECK(std::string(DiagnosticError({warning, error}).what()) == "e");
  CHECK(std::string(DiagnosticError({warning}).what()) == "w");
  CHECK(std::string(DiagnosticError({}).what()) == "invalid input");
  CHECK(DiagnosticError({warning, error}).diagnostics().size() == 2);
}

}  // namespace cbuild
