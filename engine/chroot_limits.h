// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The first wish of a command that nothing can stand in for where a step has neither mounts nor namespaces, as it was
/// written ("--network=none"); empty if there is none.
std::string impossible_in_chroot(const solver::Vertex& command);

}  // namespace cbuild::engine
