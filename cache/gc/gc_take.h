// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cache/gc/gc.h"
#include "cache/gc/gc_state.h"

namespace cbuild::cache {

/// Takes victims of a gc, whose lock is held, out of the store. Returns those that are gone. Goes on where the disk is
/// full by removing files first.
std::vector<Usage::Item> take(Store& store, const GcState& state, const std::vector<Usage::Item>& victims,
                              const PruneOptions& options);

/// Removes the files of victims that no live build has pinned, and leaves the index as it is: who finds a row of it
/// finds its files missing. Stops when `enough` bytes are free. Returns whether anything was removed.
bool remove_files(Store& store, const GcState& state, const std::vector<Usage::Item>& victims,
                  const PruneOptions& options, std::uint64_t enough);

}  // namespace cbuild::cache
