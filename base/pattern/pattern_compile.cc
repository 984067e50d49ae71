// SPDX-License-Identifier: Apache-2.0
// Ignore patterns mean what the regular expression means that moby/patternmatcher makes of them, odd corners included:
// brackets, backslashes, braces and bars reach the expression as they are, so that "\d" is a digit, "[*]" is not a
// star, "a{2}*" begins with two letters and "a|b*" is matched by all that begins with "a". We make the same expression
// and read back the small part of Go's syntax that it can hold. Not understood and therefore refused: \p, \P and \Q.
#include <algorithm>
#include <array>

#include "base/pattern/pattern_automaton.h"
#include "base/utf8.h"

namespace cbuild::detail {

namespace {

using Kind = PatternElement::Kind;
using Type = CompiledPattern::Type;
using Range = RuneSet::Range;

constexpr char32_t kLastRune = 0x10ffff;
constexpr std::size_t kMaxElements = 1u << 17;
constexpr std::size_t kMaxRepeat = 1000;  // Go's limit
constexpr std::size_t kUnlimited = SIZE_MAX;

std::u32string decode(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text.substr(at));
    out += rune.value;
    at += rune.size;
  }
  return out;
}

struct Expression {
  Type type;
  std::u32string text;
};

/// moby's translation. A star, a question mark or a bracket makes it an expression; "**" at one end alone does not.
Expression translate(std::u32string_view pattern) {
  Expression out{Type::exact, U"^"};
  const auto at = [&](std::size_t i) { return i < pattern.size() ? pattern[i] : 0; };
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char32_t c = pattern[i];
    if (c == '*' && at(i + 1) == '*') {
      const bool leading = i == 0;
      i += at(i + 2) == '/' ? 2 : 1;
      if (i + 1 < pattern.size()) {
        out.text += U"(.*/)?";
        out.type = Type::expression;
      } else if (out.type == Type::exact) {
        out.type = Type::prefix;
      } else {
        out.text += U".*";
        out.type = Type::expression;
      }
      if (leading) out.type = Type::suffix;
    } else if (c == '*' || c == '?') {
      out.text += c == '*' ? U"[^/]*" : U"[^/]";
      out.type = Type::expression;
    } else if (c == '\\') {
      out.text += c;
      if (++i < pattern.size()) out.text += pattern[i];
      out.type = Type::expression;
    } else {
      if (c < 0x80 && std::string_view(".+()$").find(static_cast<char>(c)) != std::string_view::npos) out.text += '\\';
      out.text += c;
      if (c == '[' || c == ']') out.type = Type::expression;
    }
  }
  out.text += '$';
  return out;
}

struct NamedClass {
  std::u32string_view name;
  std::array<Range, 4> ranges;
  std::size_t count;
};

constexpr std::array kPosixClasses = {
    NamedClass{U"alnum", {{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}}, 3},
    NamedClass{U"alpha", {{{'A', 'Z'}, {'a', 'z'}}}, 2},
    NamedClass{U"ascii", {{{0, 0x7f}}}, 1},
    NamedClass{U"blank", {{{'\t', '\t'}, {' ', ' '}}}, 2},
    NamedClass{U"cntrl", {{{0, 0x1f}, {0x7f, 0x7f}}}, 2},
    NamedClass{U"digit", {{{'0', '9'}}}, 1},
    NamedClass{U"graph", {{{'!', '~'}}}, 1},
    NamedClass{U"lower", {{{'a', 'z'}}}, 1},
    NamedClass{U"print", {{{' ', '~'}}}, 1},
    NamedClass{U"punct", {{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}}, 4},
    NamedClass{U"space", {{{'\t', '\r'}, {' ', ' '}}}, 2},
    NamedClass{U"upper", {{{'A', 'Z'}}}, 1},
    NamedClass{U"word", {{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}}, 4},
    NamedClass{U"xdigit", {{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}}, 3},
};

/// The classes of a backslash and a letter; capitals negate.
constexpr std::array kPerlClasses = {
    NamedClass{U"d", {{{'0', '9'}}}, 1},
    NamedClass{U"s", {{{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}}, 3},
    NamedClass{U"w", {{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}}, 4},
};

/// Adds a class or all outside it; the ranges of every class ascend.
void add_class(RuneSet& set, const NamedClass& named, bool negated) {
  char32_t next = 0;
  for (std::size_t i = 0; i < named.count; ++i) {
    const Range range = named.ranges[i];
    if (!negated)
      set.add(range.first, range.last);
    else if (range.first > next)
      set.add(next, range.first - 1);
    next = range.last + 1;
  }
  if (negated) set.add(next, kLastRune);
}

/// The text of an expression, taken from its front, character by character. Once it failed all that it gives is
/// worthless.
class RuneReader {
 public:
  explicit RuneReader(std::u32string_view text) : rest_(text) {}

  bool ok() const { return ok_; }
  std::u32string_view rest() const { return rest_; }
  void skip(std::size_t count) { rest_.remove_prefix(count); }
  void go_back(std::u32string_view rest) { rest_ = rest; }
  bool accept(std::u32string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  char32_t take() {
    if (rest_.empty()) return fail();
    const char32_t c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  char32_t fail() {
    ok_ = false;
    return 0;
  }

  /// A character, escaped or not.
  char32_t read_rune() { return rest_.starts_with('\\') ? read_escape() : take(); }

  /// Decimal digits without leading zeros, as Go reads a repetition.
  std::optional<std::size_t> read_number() {
    const std::size_t count = std::min(rest_.find_first_not_of(U"0123456789"), rest_.size());
    if (count == 0 || (count > 1 && rest_[0] == '0')) return std::nullopt;
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = std::min(value * 10 + (rest_[i] - '0'), kMaxRepeat + 1);
    rest_.remove_prefix(count);
    return value;
  }

 private:
  char32_t read_escape() {
    take();
    const char32_t c = take();
    switch (c) {
      case 'a':
        return '\a';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'v':
        return '\v';
      case 'x':
        return read_hex();
      default:
        break;
    }
    if (c >= '0' && c <= '7') return read_octal(c);
    const bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return c < 0x80 && !alphanumeric ? c : fail();
  }

  char32_t read_hex() {
    if (!accept(U"{")) {
      const char32_t high = read_hex_digit();
      return high << 4 | read_hex_digit();
    }
    char32_t value = 0;
    do {
      value = value << 4 | read_hex_digit();
      if (value > kLastRune) fail();
    } while (ok_ && !accept(U"}"));
    return value;
  }

  char32_t read_hex_digit() {
    const char32_t c = take();
    if (c >= '0' && c <= '9') return c - '0';
    const char32_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : fail();
  }

  bool at_octal_digit() const { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '7'; }

  /// Up to three digits; one alone would be a back reference, unless it is zero.
  char32_t read_octal(char32_t first) {
    if (first != '0' && !at_octal_digit()) return fail();
    char32_t value = first - '0';
    for (int i = 1; i < 3 && at_octal_digit(); ++i) value = value * 8 + (take() - '0');
    return value;
  }

  std::u32string_view rest_;
  bool ok_ = true;
};

bool read_perl_class(RuneReader& text, RuneSet& set) {
  if (text.rest().size() < 2 || text.rest()[0] != '\\') return false;
  for (const NamedClass& named : kPerlClasses) {
    if ((text.rest()[1] | 0x20) != named.name[0]) continue;
    add_class(set, named, text.rest()[1] != named.name[0]);
    text.skip(2);
    return true;
  }
  return false;
}

/// False, and nothing read, if there is no ":]"; an unknown name is an error.
bool read_posix_class(RuneReader& text, RuneSet& set) {
  const std::size_t end = text.rest().find(U":]", 2);
  if (end == std::u32string_view::npos) return false;
  std::u32string_view name = text.rest().substr(2, end - 2);
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  text.skip(end + 2);
  for (const NamedClass& named : kPosixClasses) {
    if (named.name != name) continue;
    add_class(set, named, negated);
    return true;
  }
  text.fail();
  return true;
}

/// After the opening bracket.
RuneSet read_set(RuneReader& text) {
  RuneSet set;
  set.negated = text.accept(U"^");
  for (bool first = true; text.ok() && (first || !text.rest().starts_with(']')); first = false) {
    if (text.rest().starts_with(U"[:") && read_posix_class(text, set)) continue;
    if (read_perl_class(text, set)) continue;
    const char32_t low = text.read_rune();
    char32_t high = low;
    if (text.rest().size() >= 2 && text.rest()[0] == '-' && text.rest()[1] != ']') {
      text.take();
      high = text.read_rune();
    }
    if (high < low) text.fail();
    set.add(low, high);
  }
  text.take();
  return set;
}

/// Go looks for the expression anywhere in the text; we match whole texts.
void search_everywhere(std::vector<PatternElement>& elements) {
  const PatternElement anything{Kind::star, {{}, true}};
  if (!elements.empty() && elements.front().kind == Kind::text_begin)
    elements.erase(elements.begin());
  else
    elements.insert(elements.begin(), anything);
  if (!elements.empty() && elements.back().kind == Kind::text_end)
    elements.pop_back();
  else
    elements.push_back(anything);
}

/// Reads the expressions that translate() writes. Failure sticks.
class ExpressionReader {
 public:
  explicit ExpressionReader(std::u32string_view text) : text_(text) {}

  std::optional<std::vector<std::vector<PatternElement>>> read() {
    std::vector<std::vector<PatternElement>> alternatives;
    do {
      elements_.clear();
      repeatable_ = false;
      while (text_.ok() && !text_.rest().empty() && !text_.rest().starts_with('|')) read_element();
      search_everywhere(elements_);
      alternatives.push_back(std::move(elements_));
    } while (text_.ok() && text_.accept(U"|"));
    if (!text_.ok()) return std::nullopt;
    return alternatives;
  }

 private:
  void push(Kind kind, RuneSet set = {}) {
    if (elements_.size() >= kMaxElements) text_.fail();
    elements_.push_back({kind, std::move(set)});
    repeatable_ = true;
  }
  /// A star or question mark has been read; a brace after it would be an error.
  void push_repeated(Kind kind, RuneSet set = {}) {
    push(kind, std::move(set));
    repeatable_ = false;
  }
  void read_element() {
    if (text_.accept(U"(.*/)?")) return push_repeated(Kind::directories);
    if (text_.accept(U".*")) return push_repeated(Kind::star, {{{'\n', '\n'}}, true});
    if (text_.accept(U"^") || text_.accept(U"\\A")) return push(Kind::text_begin);
    if (text_.accept(U"$") || text_.accept(U"\\z")) return push(Kind::text_end);
    if (text_.accept(U"\\b")) return push(Kind::word_edge);
    if (text_.accept(U"\\B")) return push(Kind::no_word_edge);
    if (text_.rest().starts_with('{') && read_repeat()) return;
    RuneSet set;
    if (text_.accept(U"[")) {
      set = read_set(text_);
      if (text_.accept(U"*")) return push_repeated(Kind::star, std::move(set));
    } else if (!read_perl_class(text_, set)) {
      const char32_t rune = text_.read_rune();
      set = {{{rune, rune}}, false};
    }
    push(Kind::one, std::move(set));
  }

  /// A "{2}", "{2,}" or "{2,3}" after an element; false, and nothing read, for any other brace.
  bool read_repeat() {
    const std::u32string_view start = text_.rest();
    text_.accept(U"{");
    const std::optional<std::size_t> least = text_.read_number();
    std::optional<std::size_t> most = least;
    if (least && text_.accept(U",")) most = text_.rest().starts_with('}') ? kUnlimited : text_.read_number();
    if (!least || !most || !text_.accept(U"}")) {
      text_.go_back(start);
      return false;
    }
    const bool too_many = *least > kMaxRepeat || (*most != kUnlimited && *most > kMaxRepeat);
    if (!repeatable_ || too_many || *most < *least)
      text_.fail();
    else
      repeat_last(*least, *most);
    repeatable_ = false;
    return true;
  }

  void repeat_last(std::size_t least, std::size_t most) {
    const PatternElement element = std::move(elements_.back());
    elements_.pop_back();
    if (element.kind != Kind::one) {
      // An assertion: it holds twice where it holds once, and need not hold at all when it may be left out.
      if (least > 0) elements_.push_back(element);
      return;
    }
    for (std::size_t i = 0; i < least; ++i) push(Kind::one, element.set);
    if (most == kUnlimited) return push(Kind::star, element.set);
    for (std::size_t i = least; i < most; ++i) push(Kind::optional, element.set);
  }

  RuneReader text_;
  std::vector<PatternElement> elements_;
  bool repeatable_ = false;  ///< whether a brace could repeat the last element
};

}  // namespace

std::optional<CompiledPattern> compile_pattern(std::string_view pattern) {
  const Expression expression = translate(decode(pattern));
  if (expression.type != Type::expression) return CompiledPattern{expression.type, {}};
  auto alternatives = ExpressionReader(expression.text).read();
  if (!alternatives) return std::nullopt;
  return CompiledPattern{Type::expression, std::move(*alternatives)};
}

}  // namespace cbuild::detail
