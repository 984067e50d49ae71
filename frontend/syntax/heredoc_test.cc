// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/heredoc.h"

#include <doctest/doctest.h>

#include <limits>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

Strings names(std::string_view line) {
  Strings out;
  for (const HeredocOnLine& found : find_heredocs(line)) out.push_back(found.heredoc.name.value);
  return out;
}

TEST_CASE("names and quotes") {
  struct {
    std::string word, name;
    bool expand;
  } const cases[] = {
      {"<<EOF", "EOF", true},     {"<<'EOF'", "EOF", false},  {"<<\"EOF\"", "EOF", false},
      {"<<E'O'F", "EOF", false},  {"<<eo\\'f", "eo'f", true}, {"<<'e'o\\'f", "eo'f", false},
      {"<<'a b'", "a b", false},  {"<<$EOF", "$EOF", true},   {"<<  EOF", "EOF", true},
      {"<<f.txt", "f.txt", true}, {"<<EOF>f", "EOF>f", true}, {"<<${E:-x}", "${E:-x}", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.word);
    const auto heredoc = parse_heredoc(c.word);
    REQUIRE(heredoc);
    CHECK(heredoc->name.value == c.name);
    CHECK(heredoc->expand == c.expand);
    CHECK_FALSE(heredoc->strip_tabs);
    CHECK(heredoc->fd == 0);
  }
}

TEST_CASE("dash and descriptor") {
  CHECK(parse_heredoc("<<-EOF")->strip_tabs);
  CHECK(parse_heredoc("3<<EOF")->fd == 3);
  CHECK(parse_heredoc("99999999999999999999<<EOF")->fd == std::numeric_limits<unsigned>::max());
}

TEST_CASE("words that are not heredocs") {
  for (const char* word : {"", "EOF", "<<", "<<-", "<EOF", "<<<EOF", "\"<<EOF\"", "&&<<EOF", "<<EOF sh", "<<''"}) {
    CAPTURE(word);
    CHECK_FALSE(parse_heredoc(word));
  }
  CHECK_THROWS_AS(parse_heredoc("<<'EOF"), Error);
  CHECK_THROWS_AS(parse_heredoc("<<EOF\""), Error);
  CHECK_FALSE(try_parse_heredoc("<<'EOF"));
}

TEST_CASE("heredocs of a line, in order") {
  CHECK(names("RUN <<A cat <<-B 4<<'C'") == Strings{"A", "B", "C"});
  CHECK(names("RUN echo '<<A' \"<<B\" <<<c &&<<D") == Strings{});
  CHECK(names("RUN <<  EOF  > x") == Strings{"EOF"});
  CHECK(names("RUN <<- EOF") == Strings{});
  CHECK(names("RUN <<a\\ b") == Strings{"a b"});
  CHECK(names("RUN x <<EOF; y") == Strings{"EOF;"});
}

TEST_CASE("a line that is not shell text has none") {
  CHECK(names("RUN echo don't <<EOF") == Strings{});
  CHECK(names("RUN echo ${x^^} <<EOF") == Strings{});
  CHECK(names("RUN echo \"don't\" ${x:?} <<EOF") == Strings{"EOF"});
}

TEST_CASE("the escape character is always a backslash") {
  CHECK(names("RUN echo ` <<EOF") == Strings{"EOF"});
  CHECK(names("RUN echo \\<<EOF") == Strings{});
}

TEST_CASE("places of the operators") {
  const std::string_view line = "COPY <<A <<A /d";
  const auto found = find_heredocs(line);
  REQUIRE(found.size() == 2);
  CHECK(found[0].word.begin == 5);
  CHECK(found[1].word.begin == 9);
}

TEST_CASE("leading tabs") {
  CHECK(strip_leading_tabs("\t\ta\n\tb\t\n \tc\n\t\n") == "a\nb\t\n \tc\n\n");
  CHECK(strip_leading_tabs("") == "");
  CHECK(strip_leading_tabs("\t") == "");
}

}  // namespace
}  // namespace cbuild::frontend
