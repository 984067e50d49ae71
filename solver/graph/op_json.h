// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "solver/graph/op.h"

namespace cbuild::solver {

/// The fields of an op that are not at their defaults, in the order of op_fields.h, and of an ExecOp then those of its
/// settings. For people and golden files; not read back.
nlohmann::ordered_json op_json(const Op& op, const ExecSettings& settings);

}  // namespace cbuild::solver
