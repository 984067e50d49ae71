// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/lower_build.h"
#include "engine/services.h"
#include "engine/solve_build.h"
#include "supply/provenance.h"

namespace cbuild::engine {

/// The build that a provenance is about.
struct ProvenanceParts {
  const LoweredBuild& lowered;
  const SolvedBuild& solved;
  std::string build_id;
  std::int64_t started_ns = 0;
  cache::Packer* packer = nullptr;  ///< of the layers that steps are said to have; null: they have none
};

/// The provenance of one target (index into LoweredBuild::targets), as of now. `with_steps`: also the steps and the
/// Dockerfile. No value of a secret is in it, and none of a build argument whose name says that it is one.
supply::Provenance provenance_of(Services& services, const ProvenanceParts& parts, std::size_t target, bool with_steps);

}  // namespace cbuild::engine
