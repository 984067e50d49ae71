// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/files.h"
#include "solver/executor.h"
#include "solver/ops/kept_mount.h"
#include "solver/ops/step_context.h"

namespace cbuild::solver::ops {

/// Resources that a sandbox spec borrows: must outlive Runner::run(); the locks must outlive the command.
struct ExecInputs {
  std::vector<std::vector<UniqueFd>> fds;
  std::vector<FileLock> locks;
  std::set<std::string> file_targets;  ///< of binds that show a single file
  std::vector<KeptMount> kept;
};

/// The result an input stands for, its trees on disk; a local directory becomes a snapshot of the part that is read.
Result input_result(StepContext& context, const ExecuteRequest& request, int input, const std::string& path);

}  // namespace cbuild::solver::ops
