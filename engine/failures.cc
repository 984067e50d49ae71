// SPDX-License-Identifier: Apache-2.0
#include "engine/failures.h"

namespace cbuild::engine {

BuildResult failures_in_result(const CancelSource& cancel, const std::function<void(BuildResult&)>& work) {
  BuildResult result;
  try {
    work(result);
  } catch (const DiagnosticError& wrong) {
    result.failure = Diagnosed{wrong.diagnostics()};
  } catch (const Error& error) {
    if (cancel.cancelled())
      result.failure = Cancelled{error};
    else
      result.failure = Failed{error};
  }
  return result;
}

}  // namespace cbuild::engine
