// SPDX-License-Identifier: Apache-2.0
// The grammars are small and most depend on the escape character, so they are built where they are used: an X3 parser
// is a value without tables, and nothing has to be set up when the program starts.
#include "frontend/text/grammar.h"

#include <boost/spirit/home/x3.hpp>

#include "base/error.h"
#include "base/text.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

namespace x3 = boost::spirit::x3;

/// One byte that satisfies a predicate.
template <typename Predicate>
struct ByteParser : x3::char_parser<ByteParser<Predicate>> {
  using attribute_type = char;
  static constexpr bool has_attribute = true;

  explicit ByteParser(Predicate p) : predicate(p) {}
  template <typename Char, typename Context>
  bool test(Char ch, const Context&) const {
    return predicate(ch);
  }

  Predicate predicate;
};

/// One UTF-8 character that satisfies a predicate.
template <typename Predicate>
struct RuneParser : x3::parser<RuneParser<Predicate>> {
  using attribute_type = x3::unused_type;
  static constexpr bool has_attribute = false;

  explicit RuneParser(Predicate p) : predicate(p) {}
  template <typename Iterator, typename Context, typename RuleContext, typename Attribute>
  bool parse(Iterator& first, const Iterator& last, const Context&, RuleContext&, Attribute&) const {
    const utf8::Rune rune = utf8::decode({first, last});
    if (rune.width == 0 || !predicate(rune.value)) return false;
    first += rune.width;
    return true;
  }

  Predicate predicate;
};

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_blank(char c) { return is_ascii_space(c) && c != '\n'; }
bool is_regex_space(char c) { return is_ascii_space(c) && c != '\v'; }
bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

const auto ascii_space = [] { return ByteParser(&is_ascii_space); };
const auto regex_space = [] { return ByteParser(&is_regex_space); };
const auto digit = [] { return ByteParser(&is_ascii_digit); };

Range range_of(std::string_view text, const boost::iterator_range<const char*>& part) {
  return {static_cast<std::size_t>(part.begin() - text.data()), static_cast<std::size_t>(part.end() - text.data())};
}

}  // namespace

FlagsPrefix parse_flags(std::string_view text, char escape) {
  // BuildKit takes each byte of a flag for a Latin-1 character, which mangles names outside ASCII; here they stay.
  FlagsPrefix prefix;
  FlagWord flag;
  const auto put = [&](auto& context) { flag.word += x3::_attr(context); };
  const auto any = ByteParser([](char) { return true; })[put];
  const auto escaped = x3::lit(escape) >> (any | x3::eoi);
  const auto quoted = [&](char quote) {
    return x3::lit(quote) >> *(escaped | ByteParser([quote](char c) { return c != quote; })[put]) >>
           (x3::lit(quote) | x3::eoi);
  };
  const auto plain = ByteParser([](char c) { return !is_ascii_space(c); })[put];
  const auto word = &x3::lit("--") >> +(quoted('\'') | quoted('"') | escaped | plain);

  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    x3::parse(at, end, x3::omit[*ascii_space()]);
    boost::iterator_range<const char*> written;
    flag.word.clear();
    if (!x3::parse(at, end, x3::raw[word], written)) break;
    if (flag.word == "--") break;
    flag.range = range_of(text, written);
    prefix.flags.push_back(flag);
  }
  prefix.rest = static_cast<std::size_t>(at - text.data());
  return prefix;
}

std::vector<Range> split_blanks(std::string_view text) {
  std::vector<Range> words;
  const auto add = [&](auto& context) { words.push_back(range_of(text, x3::_attr(context))); };
  const auto blank = ByteParser(&is_blank);
  const char* at = text.data();
  x3::parse(at, at + text.size(), *x3::omit[+blank | x3::raw[+(x3::char_ - blank)][add]]);
  return words;
}

std::vector<Range> split_quoted(std::string_view text, char escape) {
  std::vector<Range> words;
  const auto add = [&](auto& context) { words.push_back(range_of(text, x3::_attr(context))); };
  const auto blank = RuneParser(&utf8::is_space);
  const auto any = RuneParser([](char32_t) { return true; });
  const auto lone = x3::lit(escape) >> x3::eoi;
  const auto escaped = x3::lit(escape) >> any;
  const auto not_quote = [&](char quote) {
    return RuneParser([quote, escape](char32_t c) {
      return c != static_cast<char32_t>(quote) && (quote == '\'' || c != static_cast<char32_t>(escape));
    });
  };
  const auto double_quoted = x3::lit('"') >> *(escaped | not_quote('"')) >> (x3::lit('"') | x3::eoi | &lone);
  const auto single_quoted = x3::lit('\'') >> *not_quote('\'') >> (x3::lit('\'') | x3::eoi);
  const auto plain =
      RuneParser([escape](char32_t c) { return !utf8::is_space(c) && c != static_cast<char32_t>(escape); });
  const auto word = +(double_quoted | single_quoted | escaped | plain);
  const char* at = text.data();
  x3::parse(at, at + text.size(), *x3::omit[blank | lone | x3::raw[word][add]]);
  return words;
}

std::optional<HeredocOperator> parse_heredoc_operator(std::string_view word) {
  HeredocOperator result;
  const auto into = [&](Range& range) { return [&](auto& context) { range = range_of(word, x3::_attr(context)); }; };
  const auto strip = [&](auto&) { result.strip_tabs = true; };
  const char* at = word.data();
  const char* const end = at + word.size();
  const bool matched =
      x3::parse(at, end,
                x3::raw[*digit()][into(result.descriptor)] >> x3::lit("<<") >> -(x3::lit('-')[strip]) >>
                    x3::omit[*regex_space()] >> x3::raw[*(x3::char_ - '<')][into(result.word)] >> x3::eoi);
  if (!matched) return std::nullopt;
  return result;
}

TypeAndRest parse_healthcheck(std::string_view text) {
  TypeAndRest result;
  const auto set = [&](auto& context) { result.type = range_of(text, x3::_attr(context)); };
  const char* at = text.data();
  x3::parse(at, at + text.size(), x3::omit[x3::raw[*(x3::char_ - ascii_space())][set] >> *ascii_space()]);
  result.rest = static_cast<std::size_t>(at - text.data());
  return result;
}

std::optional<DirectiveParts> parse_directive(std::string_view text) {
  DirectiveParts parts;
  const auto set = [&](auto& context) { parts.name = range_of(text, x3::_attr(context)); };
  const auto letter = ByteParser(&is_ascii_letter);
  const char* at = text.data();
  const char* const end = at + text.size();
  if (!x3::parse(at, end,
                 x3::omit[x3::raw[letter >> *(letter | digit())][set] >> *regex_space() >> '=' >> *regex_space()])) {
    return std::nullopt;
  }
  // A value of nothing but blanks is its last blank.
  if (at == end && end[-1] == '=') return std::nullopt;
  parts.value = {static_cast<std::size_t>((at == end ? end - 1 : at) - text.data()), text.size()};
  while (parts.value.end - parts.value.begin > 1 && is_regex_space(text[parts.value.end - 1])) --parts.value.end;
  return parts;
}

namespace {

[[noreturn]] void fail_csv(std::string_view record, const char* at, std::string_view what) {
  throw Error(ErrorCode::input, cat("parse error on line 1, column ", at - record.data() + 1, ": ", what));
}

std::string parse_csv_field(std::string_view record, const char*& at, const char* end) {
  constexpr std::string_view kQuote = "extraneous or missing \" in quoted-field";
  std::string field;
  const auto put = [&](auto& context) { field += x3::_attr(context); };
  if (!x3::parse(at, end, x3::lit('"'))) {
    x3::parse(at, end, *(x3::char_ - (x3::lit(',') | '"'))[put]);
    if (at != end && *at == '"') fail_csv(record, at, "bare \" in non-quoted-field");
    return field;
  }
  const char* after_quote = at;
  const auto doubled = [&](auto& context) {
    field += '"';
    after_quote = x3::_attr(context).end();
  };
  x3::parse(at, end, *(x3::raw[x3::lit("\"\"")][doubled] | (x3::char_ - '"')[put]));
  if (at == end) fail_csv(record, after_quote, kQuote);
  const char* const closing = at++;
  if (at != end && *at != ',') fail_csv(record, closing, kQuote);
  return field;
}

}  // namespace

std::vector<std::string> parse_csv(std::string_view record) {
  if (record.empty()) throw Error(ErrorCode::input, "EOF");
  std::vector<std::string> fields;
  const char* at = record.data();
  const char* const end = at + record.size();
  do {
    fields.push_back(parse_csv_field(record, at, end));
  } while (x3::parse(at, end, x3::lit(',')));
  return fields;
}

std::optional<VariableReference> parse_reference(std::string_view text) {
  VariableReference result;
  const auto into = [](std::string_view& part) {
    return [&part](auto& context) {
      const auto& range = x3::_attr(context);
      part = {range.begin(), static_cast<std::size_t>(range.end() - range.begin())};
    };
  };
  const auto braced = [&](auto&) { result.braced = true; };
  const auto any = RuneParser([](char32_t) { return true; });
  const auto number = +RuneParser(&utf8::is_digit);
  const auto special = ByteParser([](char c) { return std::string_view("@*#?-$!").find(c) != std::string_view::npos; });
  const auto letter = RuneParser([](char32_t c) { return c == '_' || utf8::is_letter(c); });
  const auto word =
      letter >> *RuneParser([](char32_t c) { return c == '_' || utf8::is_letter(c) || utf8::is_digit(c); });
  const auto name = x3::omit[number | special | word];
  const auto modifier = x3::lit(':') >> -any | any;
  const auto in_braces =
      x3::lit('{')[braced] >> x3::raw[-name][into(result.name)] >> x3::raw[-modifier][into(result.modifier)];
  const char* at = text.data();
  if (!x3::parse(at, at + text.size(), in_braces | x3::raw[name][into(result.name)])) return std::nullopt;
  result.length = static_cast<std::size_t>(at - text.data());
  return result;
}

}  // namespace cbuild::frontend
