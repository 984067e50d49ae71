// SPDX-License-Identifier: Apache-2.0
#include "base/csv.h"

#include "base/error.h"
#include "base/text.h"

namespace cbuild {

std::vector<std::string> csv_fields(std::string_view text, std::string_view flag) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      fields.back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  if (quoted) throw Error(ErrorCode::usage, cat(flag, ": unbalanced quote in '", text, "'"));
  return fields;
}

}  // namespace cbuild
