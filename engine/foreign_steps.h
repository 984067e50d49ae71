// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sandbox/binfmt.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// One line for each platform of commands that `targets` reach, if this machine is seen not to start its programs: said
/// before the first step, and with the package to install.
std::vector<std::string> foreign_step_notes(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                                            const std::string& binfmt_directory = sandbox::kBinfmtDirectory);

}  // namespace cbuild::engine
