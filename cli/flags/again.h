// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// A build's command line, to ask for it again: without outputs, views and flags that make steps run.
struct AgainLine {
  std::string directory;  ///< it was given in
  Arguments words;

  bool operator==(const AgainLine&) const = default;
};

/// The text that the history keeps; `plain` as plain_words() gives it. Empty for a build that cannot be asked for
/// again: it read from stdin, or a word has a password in a URL.
std::string again_text(const Arguments& plain, const std::string& directory);
/// nullopt if `text` is none.
std::optional<AgainLine> read_again(std::string_view text);

}  // namespace cbuild::cli
