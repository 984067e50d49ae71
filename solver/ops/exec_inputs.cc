// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/exec_inputs.h"

namespace cbuild::solver::ops {

Result input_result(StepContext& context, const ExecuteRequest& request, int input, const std::string& path) {
  const auto index = static_cast<std::size_t>(input);
  if (const LocalSource* local = context.local_source(*request.vertex, index))
    return context.local_snapshot(*local, path);
  const Result result = request.inputs.at(index);
  context.materialize(result.id, request.id);
  return result;
}

}  // namespace cbuild::solver::ops
