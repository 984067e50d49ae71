// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "cache/content/tree.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// What makes `upper` of `lower`: entries that are new or differ, whiteouts for those that are gone. Files are equal if
/// metadata, times and content are. Both views, on disk, have to live as long as the plan. Throws Error.
PlannedTree plan_difference(const cache::TreeView& lower, const cache::TreeView& upper, const CancelSource* cancel);

}  // namespace cbuild::solver::ops
