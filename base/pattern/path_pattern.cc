// SPDX-License-Identifier: Apache-2.0
// Lists of ignore patterns as moby/patternmatcher reads them. Most patterns are a plain name, a prefix or a suffix and
// are compared as text; only the others need the automaton (pattern_compile.cc, pattern_automaton.cc), and then its
// literal head, tail and longest piece rule out nearly all paths first. Verdicts on a directory are handed down to its
// entries, so a walk asks about each name once, whatever its depth.
#include "base/pattern/path_pattern.h"

#include <algorithm>

#include "base/error.h"
#include "base/pattern/glob.h"
#include "base/pattern/pattern_automaton.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild {

namespace {

using Type = detail::CompiledPattern::Type;
using detail::PatternElement;

/// The character an element stands for, if it is one ASCII character and no other.
std::optional<char> literal(const PatternElement& element) {
  if (element.kind != PatternElement::Kind::one || element.set.negated || element.set.ranges.size() != 1)
    return std::nullopt;
  const auto [first, last] = element.set.ranges.front();
  return first == last && first < 0x80 ? std::optional(static_cast<char>(first)) : std::nullopt;
}

template <typename Iterator>
std::string literal_run(Iterator at, Iterator end) {
  std::string out;
  for (; at != end; ++at) {
    const std::optional<char> c = literal(*at);
    if (!c) break;
    out += *c;
  }
  return out;
}

constexpr std::size_t kMaxInfix = 64;

/// The longest run of literals, which every match has to hold; cut, as it only has to be telling.
std::string longest_literal_run(const std::vector<PatternElement>& elements) {
  std::string longest;
  for (auto at = elements.begin(); at != elements.end();) {
    std::string run = literal_run(at, elements.end());
    at += static_cast<std::ptrdiff_t>(std::max<std::size_t>(run.size(), 1));
    if (run.size() > longest.size()) longest = std::move(run);
  }
  longest.resize(std::min(longest.size(), kMaxInfix));
  return longest;
}

/// One pattern. Whatever the type, a match begins with `head`, ends with `tail` and holds `infix`: comparing them
/// spares nearly all paths the automaton.
struct Pattern {
  Type type = Type::exact;
  bool negated = false;
  std::string head, tail, infix;
  std::vector<detail::PatternAutomaton> alternatives;

  bool matches(std::string_view path) const {
    switch (type) {
      case Type::exact:
        return path == head;
      case Type::prefix:
        return path.starts_with(head);
      case Type::suffix:
        return path.ends_with(tail) || (tail.starts_with('/') && path == tail.substr(1));
      case Type::expression:
        return path.starts_with(head) && path.ends_with(tail) && matches_expression(path);
    }
    return false;
  }
  bool matches_expression(std::string_view path) const {
    if (path.find(infix) == std::string_view::npos) return false;
    return std::any_of(alternatives.begin(), alternatives.end(), [&](const auto& a) { return a.matches(path); });
  }
};

[[noreturn]] void refuse(const std::string& pattern, std::string_view why) {
  throw Error(ErrorCode::input, cat("invalid pattern ", go_quote(pattern), ": ", why));
}

void set_literals(Pattern& pattern, const std::vector<PatternElement>& elements) {
  pattern.head = literal_run(elements.begin(), elements.end());
  pattern.tail = literal_run(elements.rbegin(), elements.rend());
  std::reverse(pattern.tail.begin(), pattern.tail.end());
  pattern.infix = longest_literal_run(elements);
}

/// nullopt for a blank pattern, which matches nothing.
std::optional<Pattern> compile(const std::string& written) {
  if (trim(written).empty()) return std::nullopt;
  std::string cleaned = clean_path(trim(written));
  Pattern out;
  if (cleaned.starts_with('!')) {
    if (cleaned.size() == 1) refuse(written, "nothing follows the '!'");
    out.negated = true;
    cleaned.erase(0, 1);
  }
  if (!detail::Glob(cleaned).matches(".")) refuse(written, "syntax error");
  std::optional<detail::CompiledPattern> compiled = detail::compile_pattern(cleaned);
  if (!compiled) refuse(written, "syntax error");
  out.type = compiled->type;
  switch (out.type) {
    case Type::exact:
      out.head = std::move(cleaned);
      break;
    case Type::prefix:
      out.head = cleaned.substr(0, cleaned.size() - 2);
      break;
    case Type::suffix:
      out.tail = cleaned.substr(2);
      break;
    case Type::expression:
      if (compiled->alternatives.size() == 1) set_literals(out, compiled->alternatives.front());
      for (auto& elements : compiled->alternatives) out.alternatives.emplace_back(std::move(elements));
      break;
  }
  return out;
}

}  // namespace

struct PathPatternList::Impl {
  std::vector<std::string> written;
  std::vector<Pattern> patterns;
  bool has_negation = false;

  /// The verdict on `path` and, in `self`, on each pattern. A pattern that could not change the verdict is not asked
  /// and counts as no match for the paths below: BuildKit does so, and it shows when an exception stands between two
  /// patterns for the same directory.
  bool match(std::string_view path, const std::vector<bool>& parent, std::vector<bool>& self) const {
    self.assign(patterns.size(), false);
    bool matched = false;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      const Pattern& pattern = patterns[i];
      const bool inherited = !parent.empty() && parent[i];
      if (!inherited && (pattern.negated != matched || !pattern.matches(path))) continue;
      self[i] = true;
      matched = !pattern.negated;
    }
    return matched;
  }
};

PathPatternList::PathPatternList() : impl_(std::make_shared<Impl>()) {}
PathPatternList::~PathPatternList() = default;
PathPatternList::PathPatternList(PathPatternList&&) noexcept = default;
PathPatternList& PathPatternList::operator=(PathPatternList&&) noexcept = default;
PathPatternList::PathPatternList(const PathPatternList&) = default;
PathPatternList& PathPatternList::operator=(const PathPatternList&) = default;

PathPatternList::PathPatternList(const std::vector<std::string>& patterns) {
  auto impl = std::make_shared<Impl>();
  impl->written = patterns;
  for (const std::string& written : patterns) {
    std::optional<Pattern> pattern = compile(written);
    if (!pattern) continue;
    impl->has_negation |= pattern->negated;
    impl->patterns.push_back(std::move(*pattern));
  }
  impl_ = std::move(impl);
}

const std::vector<std::string>& PathPatternList::patterns() const { return impl_->written; }
bool PathPatternList::empty() const { return impl_->patterns.empty(); }
bool PathPatternList::has_negation() const { return impl_->has_negation; }

bool PathPatternList::matches(std::string_view path) const {
  ParentMatch self;
  return matches(path, {}, self);
}

bool PathPatternList::matches(std::string_view path, const ParentMatch& parent, ParentMatch& self) const {
  if (!parent.matched.empty() || path.find('/') == std::string_view::npos)
    return impl_->match(path, parent.matched, self.matched);
  bool matched = false;
  std::vector<bool> above;
  for (std::size_t from = 0, end = 0; end != std::string_view::npos; from = end + 1) {
    end = path.find('/', from);
    matched = impl_->match(path.substr(0, end), above, self.matched);
    above = self.matched;
  }
  return matched;
}

}  // namespace cbuild
