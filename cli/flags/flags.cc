// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/flag_table.h"
#include "cli/flags/flag_words.h"
#include "cli/flags/help_as.h"

namespace cbuild::cli {

namespace {

/// Lets `app` and its subcommands print their help from the flag table.
void use_own_help(CLI::App& app) {
  app.set_help_flag("-h,--help", "Print this help")->group("Global");
  app.formatter_fn(
      [](const CLI::App* shown, const std::string&, CLI::AppFormatMode) { return help_text(table_of(*shown)); });
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) use_own_help(*command);
}

/// CLI11 says "Could not convert: --jobs = x"; only numbers are left to it.
std::string not_a_number(std::string_view text) {
  const std::size_t flag = text.find("--"), equals = text.find(" = ");
  if (flag >= equals || equals == std::string_view::npos) return std::string(text);
  return cat(text.substr(flag, equals - flag), ": '", text.substr(equals + 3), "' is not a number in its range");
}

}  // namespace

bool parse_flags(CLI::App& app, std::string& root, Arguments arguments) {
  app.set_version_flag("--version", "cbuild " CBUILD_VERSION, "Print the version")->group("Global");
  app.add_option("--root", root,
                 "Directory of the store (default: $CBUILD_ROOT, /var/lib/cbuild, ~/.local/share/cbuild)")
      ->group("Global");
  for (CLI::Option* option : app.get_options())  // as docker: the last one of a repeated flag wins
    if (option->get_items_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  use_own_help(app);
  if (print_help_as(std::cout, app, arguments)) return false;
  arguments = plain_words(app, arguments);
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11's vector overload wants
  try {
    app.parse(arguments);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return false;
  } catch (const CLI::ConversionError& error) {
    throw Error(ErrorCode::usage, not_a_number(error.what()));
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::usage, error.what()).with_hint(app.get_name() + " --help lists all flags");
  }
  return true;
}

}  // namespace cbuild::cli
