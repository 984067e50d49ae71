// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/files.h"
#include "sandbox/spec.h"
#include "solver/ops/local_exec_state.h"

namespace cbuild::solver::ops {

/// Resources that a sandbox spec borrows: must outlive Runner::run(); the locks must outlive the command.
struct ExecInputs {
  std::vector<std::vector<UniqueFd>> fds;
  std::vector<FileLock> locks;
  std::set<std::string> file_targets;  ///< of binds that show a single file
};

/// Adds the mounts of `op` to `spec`, and secrets given as environment variables. Throws Error{not_found} for a
/// required secret or agent that the user did not offer, naming it.
void add_mounts(LocalExecState& state, const ExecuteRequest& request, const ExecOp& op, sandbox::Spec& spec,
                ExecInputs& inputs);

}  // namespace cbuild::solver::ops
