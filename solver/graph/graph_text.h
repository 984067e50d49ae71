// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Texts that may be hostile, as graph languages want them.
namespace cbuild::solver {

/// Valid UTF-8 on one line, without control characters.
std::string clean_label(const std::string& text);
/// A quoted string of DOT.
std::string dot_quote(const std::string& text);
/// A quoted string of Mermaid, which knows no backslash: its entities are "#name;". Backticks would begin markdown.
std::string mermaid_quote(const std::string& text);

}  // namespace cbuild::solver
