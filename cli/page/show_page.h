// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild::cli {

/// Writes a page to a new file that only this user can read, in XDG_RUNTIME_DIR or the directory for temporary files;
/// returns its path. Throws Error.
std::string write_new_page(const std::string& build, const std::string& page);

/// Has the desktop show a file; does nothing where there is no desktop.
void show_page(const std::string& file);

}  // namespace cbuild::cli
