// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "base/digest.h"
#include "cache/copy_image.h"
#include "cache/store.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// The root directory of a layer.
struct RootMetadata {
  mode_t mode = 0755;
  Ownership owner;
};

/// How many files a plan has.
std::size_t count_files(const PlannedTree& tree);

/// Writes a plan as an image that is mounted (cache/copy_image.h): what write_tree() would write, byte for byte.
/// `series`: of the copies that this one may share contents with. Throws as write_tree(), and Error{unsupported} if the
/// layer has to be a tree.
cache::CopiedLayer write_image(const PlannedTree& tree, const RootMetadata& root, cache::Store& store,
                               const Digest& series, const CancelSource* cancel);

}  // namespace cbuild::solver::ops
