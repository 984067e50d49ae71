// SPDX-License-Identifier: Apache-2.0
#include "cli/lock_command.h"

#include <algorithm>
#include <iostream>

#include "base/diagnostic.h"
#include "base/output_file.h"
#include "base/text.h"
#include "cli/flags/options.h"
#include "cli/input_services.h"
#include "cli/report/exit_codes.h"
#include "engine/lock_build.h"

namespace cbuild::cli {
namespace {

/// "new", "moved" or "gone", the source and its line, then the digests.
void print_change(const engine::LockChange& change) {
  const bool is_new = change.before.name.empty(), is_gone = change.after.name.empty();
  std::cout << (is_new    ? "new "
                : is_gone ? "gone "
                          : "moved ")
            << sanitize_for_terminal(is_gone ? change.before.name : change.after.name);
  if (!change.where.empty()) std::cout << " (" << sanitize_for_terminal(change.where) << ")";
  std::cout << '\n';
  if (!is_new) std::cout << "  locked " << change.before.digest << '\n';
  if (!is_gone) std::cout << "  now    " << change.after.digest << '\n';
}

int finish_check(const engine::LockResult& result) {
  for (const engine::LockChange& change : result.changes) print_change(change);
  const bool differs = std::any_of(result.changes.begin(), result.changes.end(),
                                   [](const auto& change) { return !change.after.name.empty(); });
  if (!differs) std::cout << result.lock.sources.size() << " sources are as " << result.path << " has them\n";
  return differs ? exit_code::kBuildFailed : exit_code::kSuccess;
}

}  // namespace

int lock_command(Arguments arguments) {
  const auto line = parse_lock_line(std::move(arguments));
  if (!line) return exit_code::kSuccess;
  try {
    InputServices services(line->line);
    const engine::LockResult result = engine::lock_sources(services.all(), line->plan);
    if (line->plan.check) return finish_check(result);
    for (const engine::LockChange& change : result.changes) print_change(change);
    write_output_file(result.path, supply::to_json(result.lock));
    std::cout << result.path << ": " << result.lock.sources.size() << " sources\n";
    return exit_code::kSuccess;
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) std::cerr << render(diagnostic);
    return exit_code::kBuildFailed;
  }
}

}  // namespace cbuild::cli
