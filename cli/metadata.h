// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/flags/options.h"
#include "engine/result.h"

namespace cbuild::cli {

/// The content of --metadata-file, in buildx's form. Every target has an image. Several targets are objects by name;
/// The outputs and the settings are those of `line`, which also says whether the findings of the checks and how much
/// of the provenance are in it.
std::string metadata_json(const BuildLine& line, const engine::BuildResult& result);

}  // namespace cbuild::cli
