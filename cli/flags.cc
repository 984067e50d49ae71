// SPDX-License-Identifier: Apache-2.0
#include "cli/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "cli/flag_words.h"

namespace cbuild::cli {

bool parse_flags(CLI::App& app, std::string& root, Arguments arguments) {
  app.set_version_flag("--version", "cbuild " CBUILD_VERSION);
  app.add_option("--root", root,
                 "Directory of the store (default: $CBUILD_ROOT, /var/lib/cbuild, ~/.local/share/cbuild)");
  for (CLI::Option* option : app.get_options())  // as docker: the last one of a repeated flag wins
    if (option->get_items_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  arguments = plain_words(app, arguments);
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11's vector overload wants
  try {
    app.parse(arguments);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return false;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::usage, error.what()).with_hint(app.get_name() + " --help lists all flags");
  }
  return true;
}

}  // namespace cbuild::cli
