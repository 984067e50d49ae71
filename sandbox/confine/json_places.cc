// SPDX-License-Identifier: Apache-2.0
// The JSON library gives values without their places, so a value that is wrong in itself is looked up in the text once
// more for its line. Only the nesting and the strings have to be understood for that.
#include "sandbox/confine/json_places.h"

#include <algorithm>

namespace cbuild::sandbox::confine {
namespace {

class JsonWalk {
 public:
  explicit JsonWalk(std::string_view text) : text_(text) {}

  /// Stands at the first byte of the value, as far as there is one.
  std::size_t go(const JsonPath& path) {
    skip_blanks();
    for (const auto& part : path) {
      const std::size_t here = at_;
      const auto* name = std::get_if<std::string>(&part);
      if (name != nullptr ? enter_member(*name) : enter_element(std::get<std::size_t>(part))) continue;
      at_ = here;
      break;
    }
    return at_;
  }

 private:
  char now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  std::string_view take_string() {
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    const std::size_t end = std::min(at_++, text_.size());
    return text_.substr(begin, end - begin);
  }

  void skip_value() {
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = now();
      if (c == '"') {
        take_string();
        --at_;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth > 0 && (c == '}' || c == ']')) {
        --depth;
      } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
        return;
      }
    }
  }

  /// To the next member or element; false after the last one.
  bool next() {
    skip_value();
    if (now() != ',') return false;
    ++at_;
    skip_blanks();
    return true;
  }

  bool enter_member(const std::string& name) {
    if (now() != '{') return false;
    ++at_;
    skip_blanks();
    while (now() == '"') {
      const std::string_view found = take_string();
      skip_blanks();
      ++at_;  // the colon
      skip_blanks();
      if (found == name) return true;
      if (!next()) return false;
    }
    return false;
  }

  bool enter_element(std::size_t index) {
    if (now() != '[') return false;
    ++at_;
    skip_blanks();
    for (; index > 0; --index)
      if (!next()) return false;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::size_t line_of_byte(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

std::size_t json_line(std::string_view text, const JsonPath& path) {
  return line_of_byte(text, JsonWalk(text).go(path));
}

}  // namespace cbuild::sandbox::confine
