// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/digest.h"
#include "frontend/lower/outline.h"
#include "frontend/stages/lower_options.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/check.h"
#include "oci/image_config.h"
#include "oci/platform.h"
#include "solver/graph/graph.h"

namespace cbuild::frontend {

/// Something besides the result that a scan for an SBOM looks at: the root of a stage, or the build context.
struct ScanExtra {
  std::string name;  ///< of the stage, or "context"
  solver::VertexId root = solver::kNoInput;

  bool operator==(const ScanExtra&) const = default;
};

/// The result for one target: a vertex whose layers are the root file system (kNoInput: no layer at all) and a config
/// that lacks only diff_ids of the layers that are made here and creation times.
struct LoweredTarget {
  std::string target;      ///< as it was asked for
  oci::Platform platform;  ///< LowerOptions::target_platform
  std::string stage_name;
  solver::VertexId result = solver::kNoInput;
  oci::ImageConfig config;  ///< diff_ids: those of the base; history: base's, then one entry per instruction
  /// For the history entries of this build that own a layer, in order: the vertex that makes it.
  std::vector<solver::VertexId> layer_vertices;
  std::size_t base_history = 0;  ///< leading history entries that came with the base
  std::optional<std::int64_t> source_date_epoch;
  std::string base_name;  ///< reference of the base of the final stage, for annotations; may be empty
  Digest base_digest;
  std::vector<ScanExtra> scan_extras;  ///< with LowerOptions::scan_extras
};

struct Lowered {
  solver::Graph graph;
  LoweredTarget target;
  std::vector<std::string> notes;  ///< "# Executing 2 build triggers", in the order of the stages
};

/// Several targets of one file, for several platforms, over one graph: work that two of them share is one vertex.
struct LoweredTargets {
  solver::Graph graph;
  std::vector<LoweredTarget> targets;  ///< in the order they were asked for; each target for one platform after another
  std::vector<std::string> notes;      ///< as Lowered::notes; a stage that several targets reach counts once
};

/// As lower(), for each of `targets` (at least one) in place of `options.target` and each of `options.platforms`, if
/// there are any; each target has its own TARGETSTAGE. Names that are not stages are reported together; checks and the
/// outline are those of the first platform.
LoweredTargets lower_targets(const Dockerfile& dockerfile, const LowerOptions& options,
                             const std::vector<std::string>& targets, ImageResolver& images);

/// Turns the tree into the graph that `options.target` reaches. Throws DiagnosticError for mistakes in the file, for
/// names that cannot be resolved and for findings of checks that are to be errors, Error for an interrupt or a full
/// disk.
Lowered lower(const Dockerfile& dockerfile, const LowerOptions& options, ImageResolver& images);

}  // namespace cbuild::frontend
