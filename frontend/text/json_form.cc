// SPDX-License-Identifier: Apache-2.0
// Two readers: an X3 grammar for the form the language has, an array of strings; and a checker for any JSON value,
// which only decides whether an array that is not one is an error or shell text. The checker keeps its own stack,
// because text from outside chooses the nesting.
#include "frontend/text/json_form.h"

#include <boost/spirit/home/x3.hpp>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

namespace x3 = boost::spirit::x3;

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

template <typename Predicate>
struct OneOf : x3::char_parser<OneOf<Predicate>> {
  using attribute_type = char;
  static constexpr bool has_attribute = true;

  explicit OneOf(Predicate p) : predicate(p) {}
  template <typename Char, typename Context>
  bool test(Char ch, const Context&) const {
    return predicate(ch);
  }

  Predicate predicate;
};

auto json_string() {
  const auto hex = OneOf(&is_hex);
  const auto simple = OneOf([](char c) { return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos; });
  const auto escape = x3::lit('\\') >> (simple | (x3::lit('u') >> hex >> hex >> hex >> hex));
  const auto plain = OneOf([](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
  return x3::omit[x3::lit('"') >> *(plain | escape) >> '"'];
}

char32_t hex_value(std::string_view digits) {
  char32_t value = 0;
  for (const char c : digits) value = value * 16 + static_cast<char32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

/// Reads "XXXX" after "\u", and a second half after a first one. Returns the bytes used.
std::size_t decode_unicode_escape(std::string_view text, std::string& out) {
  const char32_t first = hex_value(text.substr(0, 4));
  if (first < 0xD800 || first > 0xDFFF) {
    utf8::append(out, first);
    return 4;
  }
  if (first < 0xDC00 && text.substr(4, 2) == "\\u") {
    const char32_t second = hex_value(text.substr(6, 4));
    if (second >= 0xDC00 && second <= 0xDFFF) {
      utf8::append(out, 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
      return 10;
    }
  }
  utf8::append(out, utf8::kReplacement);
  return 4;
}

/// Decodes the text between the quotes of a string that the grammar has accepted.
std::string decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.front() != '\\') {
      const utf8::Rune rune = utf8::decode(text);
      utf8::append(out, rune.value);
      text.remove_prefix(rune.width);
    } else if (text[1] == 'u') {
      text.remove_prefix(2);
      text.remove_prefix(decode_unicode_escape(text, out));
    } else {
      out += simple_escape(text[1]);
      text.remove_prefix(2);
    }
  }
  return out;
}

/// Checks JSON values without building them.
class Checker {
 public:
  explicit Checker(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool check() {
    bool ok = value();
    while (ok && !open_.empty()) ok = member();
    skip();
    return ok && at_ == end_;
  }

 private:
  static constexpr std::size_t kMaxDepth = 10000;

  void skip() {
    while (at_ != end_ && is_json_space(*at_)) ++at_;
  }

  bool take(char c) {
    skip();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool string() {
    skip();
    return x3::parse(at_, end_, json_string());
  }

  bool open(char kind) {
    open_.push_back(kind);
    fresh_ = true;
    return open_.size() <= kMaxDepth;
  }

  /// A scalar, or the opening bracket of a value that member() then walks through.
  bool value() {
    skip();
    if (at_ == end_) return false;
    switch (*at_) {
      case '[':
      case '{':
        return open(*at_++ == '[' ? ']' : '}');
      case '"':
        return string();
      case 't':
        return x3::parse(at_, end_, x3::lit("true"));
      case 'f':
        return x3::parse(at_, end_, x3::lit("false"));
      case 'n':
        return x3::parse(at_, end_, x3::lit("null"));
      default:
        return number();
    }
  }

  /// The next element of the innermost array or object, or its closing bracket.
  bool member() {
    const char close = open_.back();
    const bool first = std::exchange(fresh_, false);
    if (take(close)) {
      open_.pop_back();
      return true;
    }
    if (!first && !take(',')) return false;
    if (close == '}' && !(string() && take(':'))) return false;
    return value();
  }

  bool number() {
    const auto digits = +OneOf(&is_digit);
    const auto nonzero = OneOf([](char c) { return c >= '1' && c <= '9'; });
    const auto whole = x3::lit('0') | (nonzero >> *OneOf(&is_digit));
    const auto exponent = (x3::lit('e') | 'E') >> -(x3::lit('+') | '-') >> digits;
    const char* const begin = at_;
    if (!x3::parse(at_, end_, x3::omit[-x3::lit('-') >> whole >> -('.' >> digits) >> -exponent])) return false;
    return std::isfinite(std::strtod(std::string(begin, at_).c_str(), nullptr));
  }

  const char* at_;
  const char* end_;
  std::string open_;
  bool fresh_ = false;
};

}  // namespace

bool is_json_value(std::string_view text) { return Checker(text).check(); }

std::optional<std::vector<JsonString>> parse_json_form(std::string_view text) {
  const std::string_view array = utf8::trim_left(text);
  if (!array.starts_with('[')) return std::nullopt;
  std::vector<JsonString> strings;
  const auto add = [&](auto& context) {
    const auto& part = x3::_attr(context);
    const Range range{static_cast<std::size_t>(part.begin() - text.data()),
                      static_cast<std::size_t>(part.end() - text.data())};
    strings.push_back({range, decode(text.substr(range.begin + 1, range.end - range.begin - 2))});
  };
  const auto space = x3::omit[*OneOf(&is_json_space)];
  const auto element = space >> x3::raw[json_string()][add] >> space;
  const char* at = array.data();
  const char* const end = at + array.size();
  if (x3::parse(at, end, x3::lit('[') >> ((element % ',') | space) >> ']' >> space >> x3::eoi)) return strings;
  if (!is_json_value(array)) return std::nullopt;
  throw Error(ErrorCode::input, "when using JSON array syntax, arrays must be comprised of strings only");
}

}  // namespace cbuild::frontend
