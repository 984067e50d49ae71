// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "engine/services.h"
#include "frontend/lower/lower.h"

namespace cbuild::engine {

/// The graph of a build, and the names of its inputs.
struct LoweredBuild {
  std::string dockerfile_name, context_path;     ///< known before the graph, for the history
  std::shared_ptr<const SourceText> dockerfile;  ///< null while it is not known
  std::optional<solver::Op> context_source;      ///< of a context that is not a directory of this machine
  frontend::LoweredTargets targets;
  std::vector<solver::VertexId> scans;  ///< by target: the step that scans it for an SBOM; kNoInput for none

  const solver::Graph& graph() const { return targets.graph; }
  /// The vertices of the targets that have a layer, then those that are scanned for their SBOMs, and of scanners.
  std::vector<solver::VertexId> results() const;
  /// Tells this Dockerfile from others that look the same, for explanations.
  std::string project() const;
};

/// Reads the inputs, parses the Dockerfile and turns it into a graph, whose sources are pinned then. Findings of the
/// checks go to the progress, also when it fails, and into `findings`. Throws DiagnosticError and Error; `out` has the
/// names then, if they were known.
void lower_build(Services& services, LoweredBuild& out, std::vector<Diagnostic>& findings);

/// Notes in the progress that hold for many steps: they would stand under each of them, or come only when one fails.
void note_all_steps(Services& services);

}  // namespace cbuild::engine
