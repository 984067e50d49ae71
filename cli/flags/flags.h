// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/flags/arguments.h"

namespace CLI {
class App;
}

namespace cbuild::cli {

/// Adds the flags of every command (--root, --version) to `app` and parses `arguments` with it; `root` becomes the
/// store's place. False when help or the version was asked for and is printed. Throws Error{usage}.
bool parse_flags(CLI::App& app, std::string& root, Arguments arguments);

}  // namespace cbuild::cli
