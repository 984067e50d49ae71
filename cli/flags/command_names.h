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
    {"bake", "Build the targets of bake files: HCL, JSON, compose"},
    {"bench", "Measure cold, no-op and one-file-edit builds of a Dockerfile"},
    {"completion", "Print a completion script for bash, zsh or fish"},
    {"copy", "Copy an image between registries, layouts, archives and the store"},
    {"dap", "Build under the control of an editor (debug adapter protocol)"},
    {"debug", "Enter a step of a build with a shell or a command"},
    {"doctor", "Say what this machine lets steps have, and which setting would give more"},
    {"du", "Show the contents of the store by size"},
    {"explain", "Why the steps of a build ran, or were taken from the cache"},
    {"graph", "Draw the steps of a build as DOT, Mermaid or JSON"},
    {"history", "Show the builds of this store"},
    {"images", "List the images kept in the store, or remove names (rm)"},
    {"index", "Put images of several platforms together to one"},
    {"inspect", "Show the manifest, config, layers and attestations of an image"},
    {"lock", "Pin the sources of a Dockerfile by digest in a lock file, or check it"},
    {"login", "Log in to a registry"},
    {"logout", "Remove the account of a registry"},
    {"plugin", "Be docker's plugin buildx (install, remove)"},
    {"prune", "Remove build cache that is not in use"},
    {"run", "Run a command in an image, or in a stage or step of a build"},
    {"sync", "Make what builds recorded survive a power loss"},
    {"tag", "Give an image more names"},
    {"verify", "Check that an image in a registry is signed by a key"},
};

}  // namespace cbuild::cli
