// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/cancel.h"
#include "cache/packer.h"
#include "engine/build_cache.h"
#include "engine/lower_build.h"
#include "engine/result.h"
#include "engine/services.h"
#include "engine/solve_build.h"

namespace cbuild::engine {

/// The input of export_build() in addition to the services.
struct ExportParts {
  const LoweredBuild& lowered;
  const SolvedBuild& solved;
  BuildCache& caches;
  cache::Packer& packer;
  exporter::EarlyUploads* early = nullptr;  ///< what was sent to registries while the build ran
  std::string build_id = {};                ///< for the provenance
  std::int64_t started_ns = 0;              ///< wall clock
};

/// Carries out the outputs of every target, in order, calls OutputSettings::on_written and exports the caches. Each is
/// shown as a task. The first failure ends it: throws Error, with the target as context where there are several.
/// `result` gets the images, also those that were made before a failure.
void export_build(Services& services, const ExportParts& parts, BuildResult& result);

/// Throws Error{usage} for an output that cannot take the result of several platforms.
void check_outputs(const BuildRequest& request, const CancelSource& cancel);

/// Whether a target's layers have to be packed.
bool wants_image(const BuildRequest& request, const std::string& target);

/// Whether an output of the target is made of its files and not of its layers' blobs.
bool wants_files(const BuildRequest& request, const std::string& target);

/// How layers are packed, in the background until `cancel` says otherwise.
oci::layer::PackOptions pack_options(const BuildRequest& request, const CancelSource& cancel);

}  // namespace cbuild::engine
