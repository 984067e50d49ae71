// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string_view>

#include "cli/flags/arguments.h"

namespace CLI {
class App;
}

namespace cbuild::cli {

/// The only word of a command line that asks for a command's flags in another form: --help-as=man, or one of the
/// shells. Packages are made with it; help does not show it.
inline constexpr std::string_view kHelpAs = "--help-as=";

/// True if `arguments` ask for that. Then it is printed. Throws Error{usage} for an unknown form.
bool print_help_as(std::ostream& out, const CLI::App& app, const Arguments& arguments);

}  // namespace cbuild::cli
