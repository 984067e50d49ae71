// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/bake_command.h"
#include "cli/bench_command.h"
#include "cli/build_command.h"
#include "cli/completion_command.h"
#include "cli/dap_command.h"
#include "cli/doctor_command.h"
#include "cli/du_command.h"
#include "cli/enter_command.h"
#include "cli/explain_command.h"
#include "cli/flags/command_names.h"
#include "cli/graph_command.h"
#include "cli/history_command.h"
#include "cli/images/copy_command.h"
#include "cli/images/images_command.h"
#include "cli/images/index_command.h"
#include "cli/images/inspect_command.h"
#include "cli/images/login_command.h"
#include "cli/lock_command.h"
#include "cli/plugin/plugin_command.h"
#include "cli/prune_command.h"
#include "cli/report/exit_codes.h"
#include "cli/sync_command.h"
#include "cli/verify_command.h"
#include "engine/remote_contexts.h"

namespace cbuild::cli {
namespace {

using Run = int (*)(Arguments arguments);

/// In the order of kCommandNames. Each returns the exit code and throws Error for a failure before there was anything
/// to report.
constexpr Run kRuns[] = {
    build_command,  bake_command,   bench_command,     completion_command, copy_command,  dap_command,
    debug_command,  doctor_command, du_command,        explain_command,    graph_command, history_command,
    images_command, index_command,  inspect_command,   lock_command,       login_command, logout_command,
    plugin_command, prune_command,  run_image_command, sync_command,       tag_command,   verify_command,
};
static_assert(std::size(kRuns) == std::size(kCommandNames));

int print_commands() {
  std::cout << "cbuild turns a Dockerfile into an OCI image, without a daemon.\n\nCommands:\n" << std::left;
  for (const CommandName& command : kCommandNames)
    std::cout << "  " << std::setw(12) << command.name << command.summary << "\n";
  std::cout << "\ncbuild COMMAND --help says more about each.\n";
  return exit_code::kSuccess;
}

/// A first word that is close to a command and nothing that can be built is a slip of the fingers.
void check_first_word(const std::string& word) {
  if (word.empty() || word.starts_with('-') || engine::RemoteContexts::is_remote(word)) return;
  if (sys::try_stat_at(AT_FDCWD, word, 0)) return;
  std::vector<std::string> names = {"help"};
  for (const CommandName& command : kCommandNames) names.emplace_back(command.name);
  if (const auto near = suggest(word, names))
    throw Error(ErrorCode::usage, cat("'", word, "' is neither a command nor a directory"))
        .with_hint(cat("did you mean ", *near, "?"));
}

}  // namespace

int run_command(Arguments words) {
  const std::string first = words.empty() ? "" : words.front();
  if (first == "help") return print_commands();
  const auto known = std::find_if(std::begin(kCommandNames), std::end(kCommandNames),
                                  [&](const CommandName& command) { return command.name == first; });
  if (known == std::end(kCommandNames)) {
    check_first_word(first);
    return build_command(std::move(words));
  }
  words.erase(words.begin());
  return kRuns[known - std::begin(kCommandNames)](std::move(words));
}

}  // namespace cbuild::cli
