// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/grammar.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

Strings flags(std::string_view text, std::string* rest = nullptr, char escape = '\\') {
  const FlagsPrefix prefix = parse_flags(text, escape);
  if (rest != nullptr) *rest = text.substr(prefix.rest);
  Strings words;
  for (const FlagWord& flag : prefix.flags) words.push_back(flag.word);
  return words;
}

Strings quoted(std::string_view text, char escape = '\\') {
  Strings words;
  for (const Range range : split_quoted(text, escape)) words.emplace_back(range.of(text));
  return words;
}

TEST_CASE("flags are the words in front that start with two dashes") {
  std::string rest;
  CHECK(flags("--a --b=c d --e", &rest) == Strings{"--a", "--b=c"});
  CHECK(rest == "d --e");
  CHECK(flags("-a", &rest).empty());
  CHECK(rest == "-a");
  CHECK(flags("", &rest).empty());
  CHECK(flags("--a=b", &rest) == Strings{"--a=b"});
  CHECK(rest.empty());
}

TEST_CASE("a word of two dashes ends the flags") {
  std::string rest;
  CHECK(flags("--a -- --b", &rest) == Strings{"--a"});
  CHECK(rest == " --b");
  CHECK(flags("--", &rest).empty());
  CHECK(rest.empty());
}

TEST_CASE("flags lose their quotes and escapes") {
  CHECK(flags("--a=\"b c\"'d e' x") == Strings{"--a=b cd e"});
  CHECK(flags("--a=b\\ c x") == Strings{"--a=b c"});
  CHECK(flags("--a='b\\'c' x") == Strings{"--a=b'c"});
  CHECK(flags("--a=b` c x", nullptr, '`') == Strings{"--a=b c"});
  CHECK(flags("--a=\"b c") == Strings{"--a=b c"});
  CHECK(flags("--a=b\\") == Strings{"--a=b"});
  CHECK(flags("--a=\xC3\xA9 x") == Strings{"--a=\xC3\xA9"});
}

TEST_CASE("split_blanks knows no quotes") {
  const std::string_view text = "a \"b c\"\t\\ d";
  Strings words;
  for (const Range range : split_blanks(text)) words.emplace_back(range.of(text));
  CHECK(words == Strings{"a", "\"b", "c\"", "\\", "d"});
  CHECK(split_blanks("").empty());
}

TEST_CASE("split_quoted keeps quotes and escapes in the words") {
  CHECK(quoted("a=1 b=2") == Strings{"a=1", "b=2"});
  CHECK(quoted("a=\"x y\" b='u v'") == Strings{"a=\"x y\"", "b='u v'"});
  CHECK(quoted("a=x\\ y b") == Strings{"a=x\\ y", "b"});
  CHECK(quoted("a=\"x\\\" y\" b") == Strings{"a=\"x\\\" y\"", "b"});
  CHECK(quoted("a='x\\' b") == Strings{"a='x\\'", "b"});
  CHECK(quoted("a=`\" b", '`') == Strings{"a=`\"", "b"});
  CHECK(quoted("a=x'y z'w b") == Strings{"a=x'y z'w", "b"});
  CHECK(quoted("\"\"") == Strings{"\"\""});
}

TEST_CASE("split_quoted forgives the end of the text") {
  CHECK(quoted("a=\"x y") == Strings{"a=\"x y"});
  CHECK(quoted("a='x y") == Strings{"a='x y"});
  CHECK(quoted("a=b\\") == Strings{"a=b"});
  CHECK(quoted("a=\"b\\") == Strings{"a=\"b"});
  CHECK(quoted("a \\") == Strings{"a"});
  CHECK(quoted("  ").empty());
}

TEST_CASE("split_quoted splits at Unicode blanks") {
  CHECK(quoted("a=1\xC2\xA0"
               "b=\xC3\xA9") == Strings{"a=1", "b=\xC3\xA9"});
}

TEST_CASE("heredoc operators") {
  const auto parse = [](std::string_view word) { return parse_heredoc_operator(word); };
  REQUIRE(parse("<<EOF"));
  CHECK(parse("<<EOF")->word.of("<<EOF") == "EOF");
  CHECK(parse("<<-EOF")->strip_tabs);
  CHECK(parse("<< -EOF")->word.of("<< -EOF") == "-EOF");
  CHECK(parse("12<<X")->descriptor.of("12<<X") == "12");
  CHECK(parse("<<EOF>f")->word.of("<<EOF>f") == "EOF>f");
  CHECK(parse("<<\"a b\"")->word.of("<<\"a b\"") == "\"a b\"");
  for (const char* other : {"", "<", "EOF", "<<<EOF", "&&<<X", "\"<<X\"", "<<a<b", "x<<y"}) {
    CAPTURE(other);
    CHECK_FALSE(parse(other));
  }
}

TEST_CASE("the type of a HEALTHCHECK") {
  const auto parts = parse_healthcheck("CMD \t a b");
  CHECK(parts.type.end == 3);
  CHECK(parts.rest == 6);
  CHECK(parse_healthcheck("").type.end == 0);
  CHECK(parse_healthcheck("NONE").rest == 4);
}

TEST_CASE("directives") {
  const auto parse = [](std::string_view text) -> Strings {
    const auto parts = parse_directive(text);
    if (!parts) return {};
    return {std::string(parts->name.of(text)), std::string(parts->value.of(text))};
  };
  CHECK(parse("syntax=a") == Strings{"syntax", "a"});
  CHECK(parse("syntax = a b \t") == Strings{"syntax", "a b"});
  CHECK(parse("a1=b=c") == Strings{"a1", "b=c"});
  CHECK(parse("escape=  ") == Strings{"escape", " "});
  CHECK(parse("escape=").empty());
  CHECK(parse("1a=b").empty());
  CHECK(parse("a b=c").empty());
  CHECK(parse("a-b=c").empty());
  CHECK(parse("").empty());
}

TEST_CASE("CSV records as Go reads them") {
  CHECK(parse_csv("a,b=c,") == Strings{"a", "b=c", ""});
  CHECK(parse_csv("\"a,b\",\"c\"\"d\"") == Strings{"a,b", "c\"d"});
  CHECK(parse_csv("\"\"") == Strings{""});
  CHECK(parse_csv(" a , b") == Strings{" a ", " b"});
}

TEST_CASE("bad CSV tells the column") {
  const auto error = [](std::string_view record) -> std::string {
    try {
      parse_csv(record);
    } catch (const Error& e) {
      return e.message();
    }
    return "";
  };
  CHECK(error("") == "EOF");
  CHECK(error("a,b\"c") == "parse error on line 1, column 4: bare \" in non-quoted-field");
  CHECK(error("\"a\"b") == "parse error on line 1, column 3: extraneous or missing \" in quoted-field");
  CHECK(error("a,\"b") == "parse error on line 1, column 4: extraneous or missing \" in quoted-field");
  CHECK(error("\"a\"\"b") == "parse error on line 1, column 5: extraneous or missing \" in quoted-field");
}

TEST_CASE("variable references") {
  const auto name = [](std::string_view text) -> std::string {
    const auto reference = parse_reference(text);
    return reference ? std::string(reference->name) : "none";
  };
  CHECK(name("abc_1-x") == "abc_1");
  CHECK(name("12ab") == "12");
  CHECK(name("0") == "0");
  CHECK(name("@@") == "@");
  CHECK(name("\xED\x95\x9Cx.") == "\xED\x95\x9Cx");
  CHECK(name("\xE2\x80\x94") == "none");
  CHECK(name(".") == "none");
  CHECK(name("") == "none");
  const auto braced = parse_reference("{a:-b}");
  REQUIRE(braced);
  CHECK(braced->braced);
  CHECK(braced->name == "a");
  CHECK(braced->modifier == ":-");
  CHECK(braced->length == 4);
  CHECK(parse_reference("{a")->modifier.empty());
  CHECK(parse_reference("{.}")->name.empty());
  CHECK(parse_reference("{.}")->modifier == ".");
}

}  // namespace
}  // namespace cbuild::frontend
