// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/graph_text.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::solver {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_c1_control(std::string_view text, std::size_t at) {
  return text[at] == '\xC2' && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
}

}  // namespace

std::string clean_label(const std::string& text) {
  using Json = nlohmann::json;
  const std::string valid =
      Json::parse(Json(text).dump(-1, ' ', true, Json::error_handler_t::replace)).get<std::string>();
  std::string out;
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const char c = valid[i];
    if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += kReplacement;
    } else if (is_c1_control(valid, i)) {
      out += kReplacement;
      ++i;
    } else {
      out += c;
    }
  }
  return out;
}

std::string dot_quote(const std::string& text) {
  return cat('"', replace_all(replace_all(text, "\\", "\\\\"), "\"", "\\\""), '"');
}

std::string mermaid_quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "#quot;";
        break;
      case '#':
        out += "#35;";
        break;
      case '<':
        out += "#lt;";
        break;
      case '>':
        out += "#gt;";
        break;
      case '&':
        out += "#amp;";
        break;
      case '`':
        out += "#96;";
        break;
      case '\\':
        out += "#92;";
        break;
      default:
        out += c;
    }
  }
  return out + '"';
}

}  // namespace cbuild::solver
