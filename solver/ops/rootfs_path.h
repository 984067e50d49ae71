// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/text.h"

namespace cbuild::solver::ops {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;
inline constexpr std::size_t kMaxUserFile = 4u << 20;  ///< of /etc/passwd and /etc/group, as far as they are read

/// A path of an instruction as the trees name it: cleaned, without a leading '/'; the root is "".
inline std::string relative(const std::string& absolute) {
  std::string path = clean_path(absolute);
  while (path.starts_with('/')) path.erase(0, 1);
  return path == "." ? std::string() : path;
}

}  // namespace cbuild::solver::ops
