// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace cbuild::cli {

/// Which words complete the value of a flag or an argument.
enum class Completion { none, file, directory, choice };

/// One flag or argument, as the help, the man pages and the completions show it.
struct FlagRow {
  std::vector<std::string> names;  ///< short ones first, with their dashes; of an argument: its one name, without
  std::string value;               ///< kind of the value, in docker's words (string, stringArray); empty: takes none
  std::string group, summary;
  std::vector<std::string> choices;  ///< the values it takes, where they can be listed
  Completion completion = Completion::none;
  bool is_argument = false, is_repeated = false, is_required = false;
  bool is_value_optional = false;  ///< the value follows "=" or is left out
};

/// A line to try, and its effect.
struct Example {
  std::string_view line, summary;
};

/// Everything that a command of the program takes.
struct CommandTable {
  std::string name;  ///< as it is called: "cbuild prune", "cbuild history logs"; of a build: "cbuild"
  std::string summary, footer;
  std::vector<FlagRow> flags;  ///< in the order of their declaration, groups together
  std::vector<Example> examples;
  std::vector<CommandTable> commands;

  /// The words behind "cbuild"; of a build: "build".
  std::string words() const;
};

/// The flags that `app` declares. Flags that are not shown (group "") are left out.
CommandTable table_of(const CLI::App& app);

/// The text that --help prints, lines of at most 100 columns.
std::string help_text(const CommandTable& table);

/// `name` for a usage line: "[flags] CONTEXT".
std::string usage_line(const CommandTable& table);

}  // namespace cbuild::cli
