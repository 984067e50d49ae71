// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/flags/arguments.h"

namespace CLI {
class App;
}

namespace cbuild::cli {

/// The words of a command line in the one form that CLI11 cannot misread: "--name=value", or "--name" and "" for an
/// empty value, all flags first, positional words behind "--"; a subcommand and the words behind it follow its parent.
/// A flag takes the words that docker's parser gives it: "--tag x", "--tag=x", "-tx", "-t=x", "-qD"; "--tag=" is the
/// empty value and never takes the next word; a switch takes "--push=false"; behind "--" nothing is a flag. Throws
/// Error{usage}, with the nearest name, for flags and subcommands that do not exist; for a switch, a number or a choice
/// with an empty value; for a missing value, and for more words than there are places.
Arguments plain_words(const CLI::App& app, const Arguments& words);

}  // namespace cbuild::cli
