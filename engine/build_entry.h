// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/process_values.h"
#include "cache/store.h"
#include "solver/graph/explain.h"

namespace cbuild::engine {

/// One step of a build as history keeps it.
struct StepEntry {
  std::uint32_t id = 0;
  std::string name, stage;
  std::string type;                  ///< "image", "local", "git", "http", "exec", "file", "merge", "diff", "output"
  std::uint32_t line = 0;            ///< of the Dockerfile; 0 if it comes from none
  std::string state;                 ///< "cached", "ran", "failed", "cancelled", "not-needed"
  std::string found_by;              ///< of a cached step: "definition", "content", "" where nothing had to be found
  std::string key;                   ///< of its record, hex; empty if it has none
  std::vector<std::int64_t> inputs;  ///< ids; -1 for the empty root
  std::int64_t start_ns = 0;         ///< since the build began
  std::int64_t duration_ns = 0;
  std::int64_t path_ns = 0;  ///< longest way to its end: its own time and that of the slowest steps it had to wait for
  bool critical = false;     ///< on the longest way to the target
  std::int64_t created_ns = 0;  ///< wall clock of the first making; 0 unknown
  solver::Reason reason;        ///< why it was not cached
  std::string error;
  std::string log;       ///< path below the store's root; empty if it printed nothing
  ResourceUse use = {};  ///< of its command

  bool operator==(const StepEntry&) const = default;
};

/// One build as history keeps it. No value of a secret is in it, and no value of a variable but in `again`.
struct BuildEntry {
  std::string id, name, status;  ///< status: "ok", "failed", "cancelled", "export-failed"
  std::string context, dockerfile, target;
  std::vector<std::string> arguments;  ///< flags, with the names of build arguments and secrets only
  std::string image, error;
  std::string again;  ///< as BuildRequest has it; not in to_json()
  std::int64_t started_ns = 0, finished_ns = 0;
  unsigned steps_total = 0, steps_cached = 0;
  std::vector<StepEntry> steps;  ///< in the order of their ids; inputs come first
  std::string provenance = {};   ///< of the first target: a SLSA predicate of mode min, JSON; empty: none

  bool operator==(const BuildEntry&) const = default;
};

/// The row of a build in the store's index and back. A damaged row gives the fields that can be read.
cache::Store::BuildSummary to_summary(const BuildEntry& entry);
BuildEntry from_summary(const cache::Store::BuildSummary& summary);

/// The form that `--json` prints: documented in docs/cli.md.
nlohmann::ordered_json to_json(const BuildEntry& entry);
nlohmann::ordered_json to_json(const solver::Reason& reason);

/// A line for people: why the step ran, or why it was taken from the cache.
std::string why(const StepEntry& step);

}  // namespace cbuild::engine
