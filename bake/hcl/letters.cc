// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/letters.h"

#include "bake/hcl/reader.h"
#include "base/utf8.h"

namespace cbuild::bake::hcl {
namespace {

bool within(char32_t rune, char32_t first, char32_t last) { return rune >= first && rune <= last; }

bool is_combining(char32_t rune) {
  return within(rune, 0x300, 0x36f) || within(rune, 0x1ab0, 0x1aff) || within(rune, 0x20d0, 0x20ff) ||
         within(rune, 0xfe00, 0xfe0f) || rune == 0x200d;
}

/// Blocks where upper and lower case stand in turn, the upper one even or odd.
bool in_turn(char32_t rune, bool& upper_is_even) {
  upper_is_even = !(within(rune, 0x139, 0x148) || within(rune, 0x179, 0x17e));
  return within(rune, 0x100, 0x12f) || within(rune, 0x132, 0x137) || within(rune, 0x139, 0x148) ||
         within(rune, 0x14a, 0x177) || within(rune, 0x179, 0x17e) || within(rune, 0x460, 0x481) ||
         within(rune, 0x48a, 0x4bf) || within(rune, 0x4d0, 0x52f) || within(rune, 0x1e00, 0x1e95);
}

char32_t upper(char32_t rune) {
  bool even = true;
  if (within(rune, 'a', 'z')) return rune - 32;
  if (rune == 0xff) return 0x178;
  if (within(rune, 0xe0, 0xfe) && rune != 0xf7) return rune - 32;
  if (within(rune, 0x3b1, 0x3c9) && rune != 0x3c2) return rune - 32;
  if (within(rune, 0x430, 0x44f)) return rune - 32;
  if (within(rune, 0x450, 0x45f)) return rune - 80;
  if (in_turn(rune, even) && (rune % 2 == 1) == even) return rune - 1;
  return rune;
}

char32_t lower(char32_t rune) {
  bool even = true;
  if (within(rune, 'A', 'Z')) return rune + 32;
  if (rune == 0x178) return 0xff;
  if (within(rune, 0xc0, 0xde) && rune != 0xd7) return rune + 32;
  if (within(rune, 0x391, 0x3a9) && rune != 0x3a2) return rune + 32;
  if (within(rune, 0x410, 0x42f)) return rune + 32;
  if (within(rune, 0x400, 0x40f)) return rune + 80;
  if (in_turn(rune, even) && (rune % 2 == 0) == even) return rune + 1;
  return rune;
}

template <typename Change>
std::string changed(std::string_view text, Change change) {
  std::string out;
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (rune.valid)
      append_utf8(out, static_cast<std::uint32_t>(change(rune.value)));
    else
      out += text.front();
    text.remove_prefix(rune.size);
  }
  return out;
}

bool is_letter(char32_t rune) {
  return within(rune, '0', '9') || within(rune, 'a', 'z') || within(rune, 'A', 'Z') || rune == '_' || rune == '\'' ||
         rune >= 0xaa;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    std::size_t size = text.starts_with("\r\n") ? 2 : decode_rune(text).size;
    while (size < text.size()) {
      const Rune next = decode_rune(text.substr(size));
      if (!next.valid || !is_combining(next.value)) break;
      size += next.size;
    }
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

std::string upper_case(std::string_view text) { return changed(text, upper); }
std::string lower_case(std::string_view text) { return changed(text, lower); }

std::string title_case(std::string_view text) {
  bool inside = false;
  return changed(text, [&](char32_t rune) {
    const char32_t out = inside ? rune : upper(rune);
    inside = is_letter(rune);
    return out;
  });
}

bool is_blank(std::string_view character) {
  const char32_t rune = decode_rune(character).value;
  return within(rune, 9, 13) || rune == ' ' || rune == 0x85 || rune == 0xa0 || rune == 0x1680 ||
         within(rune, 0x2000, 0x200a) || rune == 0x2028 || rune == 0x2029 || rune == 0x202f || rune == 0x205f ||
         rune == 0x3000;
}

}  // namespace cbuild::bake::hcl
