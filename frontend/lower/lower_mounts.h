// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/lower/lower_stage.h"
#include "frontend/syntax/mount_spec.h"

namespace cbuild::frontend {

/// The mounts of a RUN, expanded and checked as far as their own text goes.
std::vector<MountSpec> parse_mounts(const StageLowering& stage, const RunInstruction& run);

/// Puts `specs` into the op of `vertex`: sources become inputs, targets absolute; ordered so that parents
/// come first. Sets SSH_AUTH_SOCK for the first agent socket unless it is set. Throws DiagnosticError.
void add_mounts(StageLowering& stage, const RunInstruction& run, const std::vector<MountSpec>& specs,
                solver::ExecOp& op, std::vector<solver::VertexId>& inputs);

}  // namespace cbuild::frontend
