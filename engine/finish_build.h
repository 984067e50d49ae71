// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/result.h"
#include "engine/services.h"
#include "engine/step_runner.h"

namespace cbuild::engine {

/// Ends a build that made something: removes the remains of killed builds, syncs the store as the request wants it, and
/// collects garbage if that is due. The outputs are written by now, so errors become warnings.
void finish_build(Services& services, const StepRunner& runner, BuildResult& result);

}  // namespace cbuild::engine
