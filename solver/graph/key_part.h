// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::solver {

/// One line of a key's make-up, kept with the record so that a miss can be explained by its first difference. The first
/// word of a label names the kind of the rest: "command", "argument NAME", "path src/main.c", "base 0", "step 1" and so
/// on. A value that may be confidential is a digest.
struct KeyPart {
  std::string label, value;
  bool operator==(const KeyPart&) const = default;
};

/// How the build context is called.
inline constexpr std::string_view kBuildContext = "the build context";

}  // namespace cbuild::solver
