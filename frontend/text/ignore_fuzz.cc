// SPDX-License-Identifier: Apache-2.0
// Patterns are never empty, never span lines, are relative to the context, and there is at most one a line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "frontend/text/ignore_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto patterns = cbuild::frontend::parse_ignore_file(text);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  CBUILD_CHECK(patterns.size() <= lines);
  for (const std::string& pattern : patterns) {
    CBUILD_CHECK(!pattern.empty());
    CBUILD_CHECK(pattern.find('\n') == std::string::npos);
    CBUILD_CHECK(pattern == "/" || !pattern.starts_with('/'));
  }
  return 0;
}
