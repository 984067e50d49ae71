// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/exec_backend.h"

#include "base/error.h"

namespace cbuild::solver::ops {

std::shared_ptr<sandbox::RunningStep> ExecBackend::visit(const ExecuteRequest&, const ExecVisit&, ExecCallbacks) {
  throw Error(ErrorCode::unsupported, "steps cannot be entered where they run");
}

}  // namespace cbuild::solver::ops
