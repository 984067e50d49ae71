// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"

/// Looking through records to explain a miss. Nothing is pinned, so a record may lead to a result that is gone.
namespace cbuild::cache {

/// The newest records of steps of that name.
std::vector<Record> newest_of_step(Store& store, const std::string& step_name, unsigned limit);
/// The newest records of steps that worked on the chain `parent`.
std::vector<Record> newest_on(Store& store, const Digest& parent, unsigned limit);
/// The record of a key, whether its result still exists or not.
std::optional<Record> peek(Store& store, const Digest& key);

}  // namespace cbuild::cache
