// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "base/text.h"
#include "base/utf8.h"

namespace cbuild {

TEST_CASE("go_quote is strconv.Quote") {
  CHECK(go_quote("") == R"("")");
  CHECK(go_quote("a\"b\\c") == R"("a\"b\\c")");
  CHECK(go_quote("\a\b\f\n\r\t\v") == R"("\a\b\f\n\r\t\v")");
  CHECK(go_quote(std::string_view("\0\x1b\x7f", 3)) == R"("\x00\x1b\x7f")");
  CHECK(go_quote("\xff"
                 "é日😀") == "\"\\xffé日😀\"");
  CHECK(go_quote("\u00a0\u200b\ufeff\ue000") == R"("\u00a0\u200b\ufeff\ue000")");
  CHECK(go_quote("\U000e0001") == R"("\U000e0001")");
  CHECK(go_quote("\xed\xa0\x80") == R"("\xed\xa0\x80")");
}

TEST_CASE("shell_quote quotes only words that need it") {
  CHECK(shell_quote("a/b-c_1.2:3=@%+,") == "a/b-c_1.2:3=@%+,");
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("a b") == "'a b'");
  CHECK(shell_quote("it's") == R"('it'\''s')");
  CHECK(shell_quote("$(x)") == "'$(x)'");
  CHECK(shell_quote("~") == "'~'");
  CHECK(shell_quote("é") == "'é'");
}

TEST_CASE("sanitize_for_terminal shows control characters and keeps lines") {
  CHECK(sanitize_for_terminal("plain é日\n\tx") == "plain é日\n\tx");
  CHECK(sanitize_for_terminal("\x1b[31mred\x1b[0m") == "^[[31mred^[[0m");
  CHECK(sanitize_for_terminal(std::string_view("\0\r\x7f\b", 4)) == "^@^M^?^H");
  CHECK(sanitize_for_terminal("\u009b31m") == "<U+009B>31m");
  CHECK(sanitize_for_terminal("\u202eevil\u2066") == "<U+202E>evil<U+2066>");
  CHECK(sanitize_for_terminal("\x9b"
                              "31m\xc3") == "\\x9b31m\\xc3");
}

TEST_CASE("base64 round trip") {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : cases) {
    CHECK(base64_encode(plain) == encoded);
    CHECK(base64_decode(encoded) == plain);
  }
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  CHECK(base64_decode(base64_encode(all)) == all);
  CHECK(base64_decode("Zm9v\r\nYmFy\n") == "foobar");
}

TEST_CASE("text that is not base64 is refused") {
  for (const char* bad :
       {"Z", "Zg", "Zg=", "Zm9", "====", "=m9v", "Zm=v", "Zg==Zg==", "Zm9v!", "Zm-_", "Zm 9v", "Z==="})
    CHECK_MESSAGE(base64_decode(bad) == std::nullopt, std::string(bad));
}

TEST_CASE("decode_rune takes valid UTF-8 and one byte of anything else") {
  const auto decode = [](std::string_view text) { return decode_rune(text); };
  CHECK(decode("a").value == U'a');
  CHECK(decode("\u00e9x").value == 0xe9);
  CHECK(decode("\u00e9x").size == 2);
  CHECK(decode("\uffff").size == 3);
  CHECK(decode("\U0010ffff").value == 0x10ffff);
  for (const char* bad : {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe6\x97"}) {
    CHECK_FALSE(decode(bad).valid);
    CHECK(decode(bad).size == 1);
    CHECK(decode(bad).value == 0xfffd);
  }
  CHECK(count_runes("aé日😀\xff") == 5);
}

}  // namespace cbuild
