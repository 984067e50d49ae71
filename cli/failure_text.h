// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "solver/executor.h"
#include "solver/graph/graph.h"

namespace cbuild::cli {

/// What a failed step is reported with: its whole log, its lines of the Dockerfile, the error, and where the log lies.
/// `store` is the store's root, for hints.
std::string step_failure_text(const solver::Vertex& vertex, const solver::StepFailure& failure,
                              const std::string& store);

}  // namespace cbuild::cli
