// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/syntax/ast.h"
#include "oci/image_config.h"

namespace cbuild::frontend {

/// The config value of a HEALTHCHECK: Test with its type word in front; durations are 0 or at least a
/// millisecond. Throws DiagnosticError at the flag that is wrong.
oci::Healthcheck make_healthcheck(const HealthcheckInstruction& instruction);

}  // namespace cbuild::frontend
