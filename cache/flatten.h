// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "cache/store.h"

namespace cbuild::cache {

/// How many of `count` layers, from the bottom, must be flattened into one so that at most `max_layers`
/// remain; 0 if none. Grows in steps of half of `max_layers`, so that a growing chain is not flattened at
/// every step.
std::size_t flat_prefix(std::size_t count, unsigned max_layers);

/// The layers of a chain of which a merged view shows anything, each once: the topmost place of a layer hides each of
/// its files and whiteouts that a lower place has. Overlay refuses a directory that it has already (ELOOP).
std::vector<Digest> without_hidden(const std::vector<Digest>& layers);
/// How many layers may be open at once where `most` are wanted: with few open files, fewer.
unsigned layers_at_once(unsigned most);
/// Layers that a view reads without one that is flattened.
inline constexpr unsigned kMostInView = 4096;

/// open_lowers() of layers that their caller has pinned.
std::vector<UniqueFd> open_lowers_of(Store& store, const std::vector<Digest>& layers, unsigned max_layers);

/// The merged tree of `layers` (bottom first, a whole chain) as one directory: flats/<chain id>/fs, made of
/// hard links on first use. Valid for this boot only, because it is never synced.
UniqueFd open_flat(Store& store, const std::vector<Digest>& layers, unsigned max_layers);

}  // namespace cbuild::cache
