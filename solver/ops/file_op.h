// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/pattern/path_pattern.h"
#include "cache/content/tree.h"
#include "cache/store.h"
#include "solver/graph/op.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// A tree to copy from, as the executor opened it.
struct CopySource {
  const cache::TreeView* tree = nullptr;
  const PathPatternList* ignore = nullptr;  ///< nullptr: nothing is ignored
  bool local = false;                       ///< owners count as 0:0
};

/// The plan of file actions on top of `base` (null: empty root): nothing is written. `sources` by input index; entry 0
/// is unused; their trees have to live as long as the plan. Semantics: Dockerfile reference, COPY and ADD, as
/// BuildKit's file op does them (docs/dockerfile-reference.md lists our differences). Throws Error{input} for a mistake
/// in the instruction, {io} for the rest.
PlannedTree plan_file_actions(const FileOp& op, const cache::TreeView* base, const std::vector<CopySource>& sources,
                              cache::Store& store, const CancelSource* cancel);

}  // namespace cbuild::solver::ops
