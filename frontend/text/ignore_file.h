// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Patterns of a .dockerignore: BOM dropped, comments at column 0, trimmed, cleaned, leading '/' dropped, '!' kept in
/// front.
std::vector<std::string> parse_ignore_file(std::string_view text);

}  // namespace cbuild::frontend
