// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/result.h"
#include "exporter/outputs.h"

namespace cbuild::cli {

/// The content of --metadata-file, in buildx's form. Every target has an image. Several targets are objects by name;
/// `outputs` are those of the build, and `warnings` adds the findings of the checks.
std::string metadata_json(const std::vector<exporter::Output>& outputs, const engine::BuildResult& result,
                          bool warnings);

}  // namespace cbuild::cli
