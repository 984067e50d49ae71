// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sandbox/confine/security.h"

namespace cbuild::sandbox::confine {

/// The values of the flags of one build, as docker run has them.
struct SecurityTexts {
  std::vector<std::string> added, dropped;  ///< --cap-add, --cap-drop: names, "ALL"
  std::vector<std::string> options;         ///< --security-opt: "seccomp=FILE|unconfined", "apparmor=...", "label=...",
                                            ///< "no-new-privileges[=BOOL]"; ":" may stand for "="
};

/// Reads the file of a seccomp profile, and compiles it once to see that it can be. Throws Error{usage} with a hint.
Security parse_security(const SecurityTexts& texts);

}  // namespace cbuild::sandbox::confine
