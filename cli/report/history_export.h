// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cache/store.h"
#include "engine/build_entry.h"

namespace cbuild::cli {

/// The output of a step, with control characters as they came; empty if it printed nothing or the log is gone.
std::string read_log(cache::Store& store, const engine::StepEntry& step);

/// The parts of the step's key, from its record; empty when the record is gone. Digests of variables and secrets are
/// left out: short values could be guessed from them.
nlohmann::ordered_json key_parts(cache::Store& store, const engine::StepEntry& step);

/// One build as one self-contained document: the entry, the logs and the key parts of its steps. Logs that are not
/// UTF-8 are base64.
nlohmann::ordered_json export_build(cache::Store& store, const engine::BuildEntry& build);

}  // namespace cbuild::cli
