// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::cli {

/// page.html, page.css and page.js, as they were when the program was built.
extern const std::string_view kPageFrame, kPageStyle, kPageScript;

}  // namespace cbuild::cli
