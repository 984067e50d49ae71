// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::cli {

/// What is done with a step whose command has failed, before the build ends.
enum class OnErrorAction { nothing, shell, export_changes };

/// --on-error, parsed.
struct OnError {
  OnErrorAction action = OnErrorAction::nothing;
  std::string directory;  ///< of the actions that write one

  bool operator==(const OnError&) const = default;
};

/// Parses "shell" or "export=DIR"; an empty text is nothing. `terminal`: whether a person can type. Throws Error{usage}
/// for unknown values, for a directory that is missing, is a file or is stdout, and for a shell without a terminal.
OnError parse_on_error(std::string_view text, bool terminal);

}  // namespace cbuild::cli
