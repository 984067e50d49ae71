// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/diagnostic.h"
#include "base/digest.h"
#include "base/error.h"
#include "oci/manifest.h"
#include "solver/executor.h"
#include "supply/provenance.h"

namespace cbuild::engine {

/// The provenance of one image.
struct TargetProvenance {
  std::string platform;  ///< empty where the result is not of several platforms
  std::shared_ptr<const supply::Provenance> document;
};

/// The image of one target.
struct TargetImage {
  std::string target;                ///< as InputSettings::targets has it
  oci::Descriptor manifest, config;  ///< of an index there is no config
  Digest id;  ///< as engines show it: of its config, or of its manifest in newer image stores; or of the index
  std::vector<TargetProvenance> provenances = {};  ///< with their steps; none unless the request wants them
};

/// The Dockerfile, or a file that belongs to it, is wrong.
struct Diagnosed {
  std::vector<Diagnostic> diagnostics;
};

struct StepFailed {
  std::string step;         ///< the vertex's name, "[build 3/7] RUN make"
  std::vector<Span> spans;  ///< instructions that made it
  solver::StepFailure failure;
};

/// Anything else that went wrong.
struct Failed {
  enum class Part {
    build,   ///< the inputs, the store, this machine: there is no image
    base,    ///< a layer of a base could not be brought in when an output wanted it
    output,  ///< the images are built, but an output of them or the export of the cache failed
  };
  Error error;
  Part part = Part::build;
};

struct Cancelled {
  std::optional<Error> error;  ///< the work that was stopped, where there was some
};

using Failure = std::variant<Diagnosed, StepFailed, Failed, Cancelled>;

/// The result of a build.
struct BuildResult {
  std::optional<Failure> failure;  ///< unset: all is done
  std::string id;                  ///< in the history; empty for a build that is not kept there
  std::vector<TargetImage>
      images;  ///< in the order of the targets: those that images were made of, also before a failure
  std::optional<oci::Descriptor> cache_manifest;  ///< of the cache that was exported to a registry or a directory
  std::vector<Diagnostic> findings;               ///< of the build checks
  unsigned steps_total = 0, steps_cached = 0;     ///< of the last attempt
  bool sync_later = false;                        ///< the store has what Sync::later leaves to the front door
  double lower_s = 0, solve_s = 0, export_s = 0;  ///< where the time went
};

}  // namespace cbuild::engine
