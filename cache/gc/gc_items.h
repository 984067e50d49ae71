// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cache/gc/gc_state.h"

namespace cbuild::cache {

/// Everything that takes room, in no particular order.
std::vector<Usage::Item> list_items(Store& store, const GcState& state, const Kept& kept);

/// Removes directories and files that no row of the index claims, unless a fresh index may still take them
/// over.
void clean_up_orphans(Store::Impl& store);

}  // namespace cbuild::cache
