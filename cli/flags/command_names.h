// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::cli {

/// A command as help, the manual page and completions name it.
struct CommandName {
  std::string_view name, summary;
};

/// All commands, sorted by name but for the default one, which is the first.
inline constexpr CommandName kCommandNames[] = {
    {"build", "Build an image from a Dockerfile (the default)"},
    {"bench", "Measure cold, no-op and one-file-edit builds of a Dockerfile"},
    {"completion", "Print a completion script for bash, zsh or fish"},
    {"doctor", "Say what this machine lets steps have, and which setting would give more"},
    {"du", "Show the contents of the store by size"},
    {"explain", "Why the steps of a build ran, or were taken from the cache"},
    {"graph", "Draw the steps of a build as DOT, Mermaid or JSON"},
    {"history", "Show the builds of this store"},
    {"images", "List the images kept in the store, or remove names (rm)"},
    {"prune", "Remove build cache that is not in use"},
    {"sync", "Make what builds recorded survive a power loss"},
};

}  // namespace cbuild::cli
