// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "base/side/side_metadata.h"
#include "cache/store.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// Writes the plan into the empty directory `root` (borrowed, left as it is but for a planned time): data, owners,
/// modes, times, xattrs; holes stay holes. What an entry ought to be and cannot goes to `side`. Throws Error; without
/// `side` also for an entry that this process may not make.
void write_tree(const PlannedTree& tree, int root, SideRecorder* side, const CancelSource* cancel);

/// Of the root directory of a tree in the making.
void give_owner_and_mode(const cache::Staging& staging, uid_t uid, gid_t gid, mode_t mode);

}  // namespace cbuild::solver::ops
