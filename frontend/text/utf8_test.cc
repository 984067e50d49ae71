// SPDX-License-Identifier: Apache-2.0
#include "frontend/text/utf8.h"

#include <doctest/doctest.h>

namespace cbuild::frontend::utf8 {
namespace {

TEST_CASE("decode and append are inverse") {
  for (const char32_t rune : {0x0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text;
    append(text, rune);
    const Rune back = decode(text + "rest");
    CHECK(back.value == rune);
    CHECK(back.width == text.size());
  }
}

TEST_CASE("every invalid byte is one replacement character") {
  for (const char* bad : {"\x80", "\xC0\xAF", "\xC3", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8", "\xFF"}) {
    CAPTURE(bad);
    CHECK_FALSE(valid(bad));
    CHECK(decode(bad).value == kReplacement);
    CHECK(decode(bad).width == 1);
  }
  CHECK(sanitize("a\x80z") == "a\xEF\xBF\xBDz");
  CHECK(sanitize("\xE2\x82") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(valid("a\xEF\xBF\xBDz"));
  CHECK(decode("").width == 0);
}

TEST_CASE("character classes") {
  CHECK(is_space(U'\v'));
  CHECK(is_space(0xA0));
  CHECK(is_space(0x3000));
  CHECK_FALSE(is_space(0x200B));
  CHECK_FALSE(is_space(U'_'));
  CHECK(is_letter(U'z'));
  CHECK(is_letter(0xD55C));
  CHECK_FALSE(is_letter(U'['));
  CHECK_FALSE(is_letter(0x2014));
  CHECK(is_digit(U'9'));
  CHECK(is_digit(0x663));
  CHECK_FALSE(is_digit(0xB2));
}

TEST_CASE("trim takes Unicode blanks at both ends") {
  CHECK(trim(" \t\xC2\xA0x y\xE3\x80\x80\r\n") == "x y");
  CHECK(trim_left("\xC2\x85 a ") == "a ");
  CHECK(trim(" \n").empty());
  CHECK(trim("\xA0") == "\xA0");
  CHECK(trim("\xC3\xA0") == "\xC3\xA0");
}

}  // namespace
}  // namespace cbuild::frontend::utf8
