// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "engine/services.h"

namespace cbuild::engine {

/// The result of a target, for the built-in scanner.
struct ScanTarget {
  std::string name;  ///< of the document
  Digest chain;      ///< empty: no file at all
  std::int64_t created_s = 0;
};

/// The packages of a target as an SPDX document. Layers that are not on this machine are fetched. What could not be
/// read is a warning. Throws Error.
std::string scan_target(Services& services, const ScanTarget& target);

}  // namespace cbuild::engine
