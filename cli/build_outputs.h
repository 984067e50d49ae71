// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/packer.h"
#include "cache/store.h"
#include "cli/metadata.h"
#include "cli/options.h"
#include "engine/remote.h"
#include "exporter/image_builder.h"

namespace cbuild::cli {

struct OutputServices {
  cache::Store& store;
  cache::Packer& packer;
  engine::Remote& remote;
  ProgressSink& progress;
  const CancelSource& cancel;
  TaskId first_task = 0;  ///< each target is shown as one task, with ids from here on
  MetadataFacts facts;    ///< for --metadata-file
};

/// Whether a target's layers have to be packed: for an output, or for --iidfile and --metadata-file.
bool wants_image(const BuildLine& options, const std::string& target);

/// Whether an output of the target is made of its files and not of its layers' blobs.
bool wants_files(const BuildLine& options, const std::string& target);

/// How layers are packed, in the background until `cancel` says otherwise.
oci::layer::PackOptions pack_options(const BuildLine& options, const CancelSource& cancel);

/// Carries out the outputs of every target, in order, then writes --iidfile and --metadata-file. The first failure ends
/// it: throws Error with the target as context where there are several.
void write_outputs(const BuildLine& options, std::vector<TargetResult>& targets, const OutputServices& services);

}  // namespace cbuild::cli
