// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sandbox/runner.h"

namespace cbuild::sandbox::oci {

/// An empty directory for one bundle, which goes with `keep`.
struct BundlePlace {
  std::string path;
  std::shared_ptr<void> keep;
};

struct OciSettings {
  std::string runtime;  ///< absolute path of the program
  std::function<BundlePlace()> place;
};

/// The path of "runc", "crun" or another name in PATH, or of a path. Throws Error{unsupported} with a hint if it is not
/// a program.
std::string find_runtime(const std::string& name);

/// Has an OCI runtime run each step, on the root and the mounts that `inner` prepares. The output, the exit code, time
/// limits and cancellation are those of the runtime's own process. Steps run in any number at once.
std::unique_ptr<Runner> make_oci_runner(std::unique_ptr<Runner> inner, OciSettings settings);

}  // namespace cbuild::sandbox::oci
