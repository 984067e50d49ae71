// SPDX-License-Identifier: Apache-2.0
#include "engine/foreign_steps.h"

#include <optional>
#include <set>
#include <variant>

#include "base/text.h"
#include "oci/platform.h"

namespace cbuild::engine {

std::vector<std::string> foreign_step_notes(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                                            const std::string& binfmt_directory) {
  const std::string host = oci::host_platform().architecture;
  std::set<std::string> seen;
  std::vector<std::string> notes;
  for (const solver::VertexId id : graph.reachable(targets)) {
    const auto* exec = std::get_if<solver::ExecOp>(&graph[id].op);
    if (exec == nullptr || !seen.insert(exec->platform).second) continue;
    const std::optional<oci::Platform> platform = oci::parse_platform(exec->platform);
    if (!platform || !sandbox::is_foreign(platform->architecture, host)) continue;
    if (sandbox::find_interpreter(platform->architecture, binfmt_directory) != sandbox::Interpreter::none) continue;
    notes.push_back(cat("RUN for ", exec->platform, ": no interpreter for its programs is registered on this machine; ",
                        sandbox::interpreter_advice(platform->architecture)));
  }
  return notes;
}

}  // namespace cbuild::engine
