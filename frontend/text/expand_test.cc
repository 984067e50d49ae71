// SPDX-License-Identifier: Apache-2.0
// Variables and quotes in words, case by case as BuildKit's shell lexer has it, and limits that hostile words meet.
#include "frontend/text/expand.h"

#include <doctest/doctest.h>

#include <map>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

std::optional<std::string> lookup(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> values = {
      {"A", "abc"},        {"HOME", "/root"}, {"EMPTY", ""},          {"TWO", "one two"},
      {"PATHS", "/a/b/a"}, {"STAR", "a*"},    {"FILE", "pkg.tar.gz"}, {"REF", "$A"},
  };
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  return found->second;
}

std::string expand(std::string_view word, const ExpandOptions& options = {}) {
  return expand_word(word, lookup, options).text;
}

/// The innermost message of the failure.
std::string failure(std::string_view word) {
  try {
    return "no failure: " + expand(word);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    return error.message();
  }
}

TEST_CASE("plain references") {
  CHECK(expand("") == "");
  CHECK(expand("x$A.y") == "xabc.y");
  CHECK(expand("x${A}y") == "xabcy");
  CHECK(expand("$A$HOME") == "abc/root");
  CHECK(expand("$REF") == "$A");
  CHECK(expand("$NO-${NO}.") == "-.");
  CHECK(expand("$.x $ $/") == "$.x $ $/");
}

TEST_CASE("positional and special parameters are empty") {
  for (const char* name : {"1", "23", "@", "*", "#", "?", "-", "$", "!", "0"}) {
    CAPTURE(name);
    CHECK(expand(std::string("<$") + name + ">") == "<>");
    CHECK(expand(std::string("<${") + name + ":-d}>") == "<d>");
  }
  CHECK(expand("$1a") == "a");
}

TEST_CASE("defaults and alternatives") {
  CHECK(expand("${A:-d} ${EMPTY:-d} ${NO:-d}") == "abc d d");
  CHECK(expand("${A-d} ${EMPTY-d} ${NO-d}") == "abc  d");
  CHECK(expand("${A:+d} ${EMPTY:+d} ${NO:+d}") == "d  ");
  CHECK(expand("${A+d} ${EMPTY+d} ${NO+d}") == "d d ");
  CHECK(expand("${A?m}${EMPTY?m}${A:?m}") == "abcabc");
  CHECK(expand("${NO:-$A} ${NO:-${EMPTY:-${HOME}}} ${NO:-'a b'}") == "abc /root a b");
  CHECK(expand("${NO:-a\\}b} ${NO:-\"}\"}") == "a}b }");
  CHECK(expand("${NO:-}") == "");
}

TEST_CASE("required variables") {
  CHECK(failure("${NO?}") == "NO: is not allowed to be unset");
  CHECK(failure("${NO:?}") == "NO: is not allowed to be unset");
  CHECK(failure("${EMPTY:?}") == "EMPTY: is not allowed to be empty");
  CHECK(failure("${NO?set $A}") == "NO: set abc");
  CHECK(failure("${EMPTY:?give one}") == "EMPTY: give one");
}

TEST_CASE("words inside braces are expanded even when they are not needed") {
  CHECK(failure("${A:-${NO:?needed}}") == "NO: needed");
  CHECK(expand_word("${A:-$NO}", lookup, {}).unset == Strings{"NO"});
}

TEST_CASE("prefixes, suffixes and replacements") {
  CHECK(expand("${FILE%.*} ${FILE%%.*} ${FILE#*.} ${FILE##*.}") == "pkg.tar pkg tar.gz gz");
  CHECK(expand("${PATHS/a/x} ${PATHS//a/x} ${PATHS//a/}") == "/x/b/a /x/b/x //b/");
  CHECK(expand("${PATHS//\\//.}") == ".a.b.a");
  CHECK(expand("${PATHS/$STAR/x}") == "/x");
  CHECK(expand("${NO#x}${NO%x}${NO/x/y}") == "");
  CHECK(expand("${A#'a'}") == "bc");
  CHECK(expand("${A//b/'[$0]'}") == "a[b]c");
  CHECK(expand("${A//b/'$1'}") == "ac");
  CHECK(expand("${A/b/'$0'}") == "a$0c");
}

TEST_CASE("pattern mistakes") {
  CHECK(failure("${A#\\x}") == "invalid pattern (\\x) in substitution: invalid escape '\\x'");
  CHECK(failure("${A/\\x/y}") == "invalid pattern (\\x) in substitution: invalid escape '\\x'");
  CHECK(failure("${A/b}") == "syntax error: missing '/' in ${}");
  CHECK(failure("${A/b/c") == "syntax error: missing '}'");
}

TEST_CASE("unsupported modifiers") {
  CHECK(failure("${A:=x}") == "unsupported modifier (:=) in substitution");
  CHECK(failure("${A=x}") == "unsupported modifier (=) in substitution");
  CHECK(failure("${A:#x}") == "unsupported modifier (:#) in substitution");
  CHECK(failure("${A:%x}") == "unsupported modifier (:%) in substitution");
  CHECK(failure("${A:xyz}") == "unsupported modifier (:x) in substitution");
  CHECK(failure("${A^}") == "unsupported modifier (^) in substitution");
  CHECK(failure("${.}") == "unsupported modifier (.) in substitution");
}

TEST_CASE("bad substitutions") {
  CHECK(failure("${}") == "syntax error: bad substitution");
  CHECK(failure("${:x}") == "syntax error: bad substitution");
  CHECK(failure("${{x}") == "syntax error: bad substitution");
  for (const char* open : {"${", "${A", "${A:", "${A:-", "${A:-b", "${A:-${B}", "${A:-'b}", "${A:-\"b}"}) {
    CAPTURE(open);
    CHECK(failure(open) == "syntax error: missing '}'");
  }
}

TEST_CASE("single quotes keep everything") {
  CHECK(expand("'$A'") == "$A");
  CHECK(expand("a'\\b\"'c") == "a\\b\"c");
  CHECK(failure("a'b") == "unexpected end of statement while looking for matching single-quote");
}

TEST_CASE("double quotes expand and unescape little") {
  CHECK(expand("\"$A '$A'\"") == "abc 'abc'");
  CHECK(expand("\"\\\"\\$A\\\\\"") == "\"$A\\");
  CHECK(expand("\"a\\tb\"") == "a\\tb");
  CHECK(failure("a\"b") == "unexpected end of statement while looking for matching double-quote");
  CHECK(failure("\"b\\\"") == "unexpected end of statement while looking for matching double-quote");
}

TEST_CASE("an unquoted escape keeps the next character") {
  CHECK(expand("a\\tb") == "atb");
  CHECK(expand("\\$A") == "$A");
  CHECK(expand("a\\\\$A") == "a\\abc");
  CHECK(expand("a\\'b") == "a'b");
  CHECK(expand("a\\") == "a");
  CHECK(expand("a\\\xC3\xA9") == "a\xC3\xA9");
}

TEST_CASE("the escape character is the file's") {
  const ExpandOptions backtick{.escape = '`'};
  CHECK(expand("`$A\\$A", backtick) == "$A\\abc");
  CHECK(expand("\"`\"`$A\"", backtick) == "\"$A");
  CHECK(expand("c:\\dir", backtick) == "c:\\dir");
}

TEST_CASE("heredoc bodies") {
  const ExpandOptions heredoc{.heredoc = true};
  CHECK(expand("'$A' \"$A\"\n", heredoc) == "'abc' \"abc\"\n");
  CHECK(expand("\\$A \\\\ a\\\nb\n", heredoc) == "$A \\ a\nb\n");
  CHECK(expand("printf a\\n", heredoc) == "printf an");
  CHECK(expand("${NO:-'x'}", heredoc) == "'x'");
  CHECK(expand("it's", heredoc) == "it's");
}

TEST_CASE("step names keep quotes and unset variables") {
  const ExpandOptions names{.raw_quotes = true, .skip_unset = true};
  CHECK(expand("echo \"$A\" '$A' $NO ${NO} ${NO:-x$A} ${NO/a/b}", names) ==
        "echo \"abc\" '$A' $NO ${NO} ${NO:-xabc} ${NO/a/b}");
  CHECK(expand("${NO:?x}", names) == "${NO:?x}");
  CHECK(expand("a\\b", names) == "ab");
  CHECK(expand("a\\b", {.raw_quotes = true, .skip_unset = true, .raw_escapes = true}) == "a\\b");
}

TEST_CASE("unset variables are listed once, in order of use") {
  CHECK(expand_word("$X ${Y:-$Z} $X $A ${EMPTY}", lookup, {}).unset == Strings{"X", "Z", "Y"});
}

TEST_CASE("words") {
  const auto words = [](std::string_view text) { return expand_words(text, lookup, {}); };
  CHECK(words("") == Strings{});
  CHECK(words(" a  b ") == Strings{"a", "b"});
  CHECK(words("x$TWO y") == Strings{"xone", "two", "y"});
  CHECK(words("x\"$TWO\" y") == Strings{"xone two", "y"});
  CHECK(words("a\\ b") == Strings{"a b"});
  CHECK(words("'a b'c") == Strings{"a bc"});
  CHECK(words("$EMPTY \"\"") == Strings{});
  CHECK(words("80${NO:-80}/tcp") == Strings{"8080/tcp"});
  CHECK(words("a\xC2\xA0"
              "b") == Strings{"a", "b"});
  CHECK(words("x <<  EOF < y") == Strings{"x", "<<  EOF", "<", "y"});
  Strings unset;
  expand_words("$NO", lookup, {}, &unset);
  CHECK(unset == Strings{"NO"});
}

TEST_CASE("names may be any letters") {
  CHECK(expand("${\xED\x95\x9C:-x}") == "x");
  CHECK(expand("$A\xE2\x80\x94") == "abc\xE2\x80\x94");
  CHECK(expand("$A\xED\x95\x9C") == "");
}

TEST_CASE("invalid UTF-8 becomes replacement characters") {
  CHECK(expand("a\xFF$A") ==
        "a\xEF\xBF\xBD"
        "abc");
}

TEST_CASE("failures name the word") {
  try {
    expand("x ${NO?m}");
    FAIL("no failure");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "failed to process \"x ${NO?m}\": NO: m");
  }
  const std::string large(100'000, 'x');
  try {
    expand(large + "${}");
    FAIL("no failure");
  } catch (const Error& error) {
    CHECK(std::string_view(error.what()).size() < 400);
  }
}

TEST_CASE("nesting is bounded") {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "${NO:-";
    return text + "x" + std::string(static_cast<std::size_t>(depth), '}');
  };
  CHECK(expand(nested(kMaxNesting)) == "x");
  CHECK(failure(nested(kMaxNesting + 1)) == "variable substitutions are nested more than 1000 deep");
  std::string open;
  for (int i = 0; i < 200'000; ++i) open += "${A:-";
  CHECK(failure(open) == "variable substitutions are nested more than 1000 deep");
}

TEST_CASE("output is bounded, wherever it goes") {
  const std::string value(1 << 20, 'v');
  const Environment large = [&](std::string_view) { return value; };
  std::string text;
  for (int i = 0; i < 17; ++i) text += "$V";
  CHECK_THROWS_AS(expand_word(text, large, {}), Error);
  CHECK_THROWS_AS(expand_word("\"" + text + "\"", large, {}), Error);
  CHECK_THROWS_AS(expand_word("${V:-" + text + "}", large, {}), Error);
  CHECK_THROWS_AS(expand_word("${V//v/$V}", large, {}), Error);
  CHECK(expand_word("$V$V", large, {}).text.size() == 2 << 20);
}

TEST_CASE("a megabyte of heredoc is quick work") {
  std::string body;
  while (body.size() < (1 << 20)) body += "line with $A and ${HOME} and \\$ it's \"fine\"\n";
  CHECK(expand(body, {.heredoc = true}).size() > body.size() / 2);
}

}  // namespace
}  // namespace cbuild::frontend
