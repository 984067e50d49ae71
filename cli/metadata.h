// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "cli/options.h"
#include "exporter/image_builder.h"

namespace cbuild::cli {

/// One target after its steps are done, and what became of it.
struct TargetResult {
  std::string name;  ///< as BuildLine::targets has it
  exporter::ImageResult result;
  std::optional<exporter::BuiltImage> image;  ///< set by write_outputs() where one was made
  Digest id;  ///< with `image`: what engines and --iidfile know it by: of its config, or manifest in newer image stores
};

/// Facts about the whole build for --metadata-file.
struct MetadataFacts {
  std::string build_id;  ///< in the history; empty for a build that is not kept there
  std::vector<Diagnostic> findings;
};

/// The content of --metadata-file, in buildx's form. Every target has an image. Several targets are objects by name.
std::string metadata_json(const BuildLine& options, const std::vector<TargetResult>& targets,
                          const MetadataFacts& facts);

}  // namespace cbuild::cli
