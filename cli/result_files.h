// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cli/options.h"
#include "engine/result.h"

namespace cbuild::cli {

/// A function that writes --iidfile and --metadata-file of `line`, to be called when a build has its images; empty if
/// neither was given. It holds no reference to `line`.
std::function<void(const engine::BuildResult&)> result_writer(const BuildLine& line);

}  // namespace cbuild::cli
