// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/side/side_metadata.h"
#include "cache/content/tree.h"

namespace cbuild::solver::ops {

/// Whether a tree has side metadata.
bool has_side_metadata(int tree);

/// Tells `side` what entries of the overlay's upper directory `upper` ought to be: those that the kernel has copied up
/// from `below`, which have what the command did not change of their metadata. Throws Error.
void inherit_side(const cache::TreeView& below, int upper, SideRecorder& side);

}  // namespace cbuild::solver::ops
