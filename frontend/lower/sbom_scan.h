// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "frontend/lower/lower.h"
#include "frontend/lower/lower_stage.h"

namespace cbuild::frontend {

/// What ARG BUILDKIT_SBOM_SCAN_STAGE and BUILDKIT_SBOM_SCAN_CONTEXT ask for in a stage: true, false, or names of
/// stages, from the stage's own ARG or the file's.
StageScan scan_of_stage(const std::string& stage_name, const StageScope& scope, const Variables& globals);

/// The stages besides `target`, and the build context, that a scan of the target looks at, by name.
std::vector<ScanExtra> scan_extras(BuildState& build, std::size_t target);

}  // namespace cbuild::frontend
