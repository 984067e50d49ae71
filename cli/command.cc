// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/bench_command.h"
#include "cli/build_command.h"
#include "cli/completion_command.h"
#include "cli/du_command.h"
#include "cli/exit_codes.h"
#include "cli/explain_command.h"
#include "cli/graph_command.h"
#include "cli/history_command.h"
#include "cli/images_command.h"
#include "cli/prune_command.h"
#include "engine/remote_contexts.h"

namespace cbuild::cli {
namespace {

constexpr Command kCommands[] = {
    {"build", "Build an image from a Dockerfile (the default)", build_command},
    {"bench", "Measure cold, no-op and one-file-edit builds of a Dockerfile", bench_command},
    {"completion", "Print a completion script for bash, zsh or fish", completion_command},
    {"du", "Show the contents of the store by size", du_command},
    {"explain", "Why the steps of a build ran, or were taken from the cache", explain_command},
    {"graph", "Draw the steps of a build as DOT, Mermaid or JSON", graph_command},
    {"history", "Show the builds of this store", history_command},
    {"images", "List the images kept in the store, or remove names (rm)", images_command},
    {"prune", "Remove build cache that is not in use", prune_command},
};

int print_commands() {
  std::cout << "cbuild turns a Dockerfile into an OCI image, without a daemon.\n\nCommands:\n" << std::left;
  for (const Command& command : kCommands)
    std::cout << "  " << std::setw(12) << command.name << command.summary << "\n";
  std::cout << "\ncbuild COMMAND --help says more about each.\n";
  return exit_code::kSuccess;
}

/// A first word that is close to a command and nothing that can be built is a slip of the fingers.
void check_first_word(const std::string& word) {
  if (word.empty() || word.starts_with('-') || engine::RemoteContexts::is_remote(word)) return;
  if (sys::try_stat_at(AT_FDCWD, word, 0)) return;
  std::vector<std::string> names = {"help"};
  for (const Command& command : kCommands) names.emplace_back(command.name);
  if (const auto near = suggest(word, names))
    throw Error(ErrorCode::usage, cat("'", word, "' is neither a command nor a directory"))
        .with_hint(cat("did you mean ", *near, "?"));
}

}  // namespace

std::span<const Command> all_commands() { return kCommands; }

int run_command(Arguments words) {
  const std::string first = words.empty() ? "" : words.front();
  if (first == "help") return print_commands();
  const auto command =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](const Command& c) { return c.name == first; });
  if (command == std::end(kCommands)) {
    check_first_word(first);
    return build_command(std::move(words));
  }
  words.erase(words.begin());
  return command->run(std::move(words));
}

}  // namespace cbuild::cli
