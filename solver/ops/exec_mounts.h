// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sandbox/spec.h"
#include "solver/ops/exec_inputs.h"
#include "solver/ops/local_exec_state.h"

namespace cbuild::solver::ops {

/// Adds the mounts of `op` to `spec`, and secrets given as environment variables. Throws Error{not_found} for a
/// required secret or agent that the user did not offer, naming it.
void add_mounts(LocalExecState& state, const ExecuteRequest& request, const ExecOp& op, sandbox::Spec& spec,
                ExecInputs& inputs);

}  // namespace cbuild::solver::ops
