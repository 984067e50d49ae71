// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// Writes the plan into the empty directory `root` (borrowed, left as it is but for a planned time): data, owners,
/// modes, times, xattrs; holes stay holes. Throws Error, also for an entry that this process may not make.
void write_tree(const PlannedTree& tree, int root, const CancelSource* cancel);

}  // namespace cbuild::solver::ops
