// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/step_identity.h"

#include "base/text.h"

namespace cbuild::solver {

namespace {

/// The instruction in the Dockerfile; empty where the vertex is not that instruction itself: a trigger's span is the
/// FROM that brought it.
std::string written_text(const Vertex& vertex) {
  if (vertex.spans.empty() || !vertex.spans[0]) return {};
  const Span& span = vertex.spans[0];
  std::string written(trim(std::string_view(span.source->text()).substr(span.begin, span.end - span.begin)));
  const auto first_word = [](std::string_view line) { return to_upper(line.substr(0, line.find_first_of(" \t\\\n"))); };
  return first_word(written) == first_word(without_position(vertex.name)) ? written : std::string();
}

/// Continued lines put together; bodies of heredocs left out.
std::string first_logical_line(const std::string& text) {
  std::string out;
  for (const std::string& line : split(text, '\n')) {
    std::string_view part = trim(line);
    const bool goes_on = part.ends_with('\\') || part.ends_with('`');
    if (goes_on) part = trim(part.substr(0, part.size() - 1));
    out += cat(out.empty() || part.empty() ? "" : " ", part);
    if (!goes_on) break;
  }
  return out;
}

}  // namespace

std::string_view without_position(std::string_view step_name) {
  if (!step_name.starts_with('[')) return step_name;
  const std::size_t end = step_name.find("] ");
  return end == std::string_view::npos ? step_name : step_name.substr(end + 2);
}

std::string written_name(const Vertex& vertex) {
  const std::string_view name = without_position(vertex.name);
  const std::string written = written_text(vertex);
  if (written.empty()) return vertex.name;
  return cat(vertex.name.substr(0, vertex.name.size() - name.size()), first_logical_line(written));
}

std::string step_identity(const Vertex& vertex) {
  std::string text = written_text(vertex);
  if (text.empty()) text = without_position(vertex.name);
  constexpr std::size_t kLong = 160;
  if (text.size() > kLong) text = cat(text.substr(0, kLong), " ", sha256(text).str());
  return cat(vertex.stage, "\n", vertex.op.index(), "\n", text);
}

std::string_view identity_scope(std::string_view identity) {
  const std::size_t stage = identity.find('\n');
  return identity.substr(0, stage == std::string_view::npos ? stage : identity.find('\n', stage + 1));
}

}  // namespace cbuild::solver
