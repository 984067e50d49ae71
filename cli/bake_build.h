// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bake/resolve.h"

namespace cbuild::cli {

/// What applies to all targets of a run.
struct BakeOptions {
  std::string root, progress, metadata_file;
  std::vector<std::string> allow;
  bool default_load = false;  ///< as the flag of a build
};

/// Builds all targets, each after those it links to. Returns the exit code. Throws Error for what is wrong before the
/// first build begins.
int build_targets(const bake::Resolved& resolved, const BakeOptions& options);

}  // namespace cbuild::cli
