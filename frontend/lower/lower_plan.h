// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "frontend/lower/lower_stage.h"

namespace cbuild::frontend {

/// Finds the stages that `targets` need, resolves their bases, and parses the triggers these bring. A trigger may need
/// further stages. A stage that is not reached is not resolved. By stage index.
std::vector<PlannedStage> plan_stages(const StageTable& table, const std::vector<std::size_t>& targets,
                                      Sources& sources, Checks& checks);

/// "# Executing 2 build triggers" for each stage that has some, in order; `triggers`: their number by stage index.
std::vector<std::string> trigger_notes(const std::vector<std::size_t>& triggers);

}  // namespace cbuild::frontend
