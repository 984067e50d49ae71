// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cache/store.h"
#include "engine/build_entry.h"

namespace cbuild::cli {

/// The build that `reference` names: "" or "^0" the last one, "^1" the one before it and so on, else an id or the
/// beginning of one. Throws Error{usage} with the existing ones.
engine::BuildEntry find_build(cache::Store& store, const std::string& reference);

/// The steps that `text` names: a number as it stands in lists (1 is the first), ":LINE" of the Dockerfile, a stage, or
/// a part of the name in any case. Throws Error{usage} with the nearest name as hint.
std::vector<const engine::StepEntry*> find_steps(const engine::BuildEntry& build, const std::string& text);

/// Steps that lists show, in order: without directories that are read in place.
std::vector<const engine::StepEntry*> shown_steps(const engine::BuildEntry& build);

/// "app:1 (build 3f2a..., failed, 5 minutes ago): 3 of 7 steps cached".
std::string headline(const engine::BuildEntry& build);

}  // namespace cbuild::cli
