// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "supply/sbom/package.h"

namespace cbuild::supply {

/// The head of an SPDX document.
struct SpdxHead {
  std::string name;  ///< of what was scanned
  std::string tool;  ///< "cbuild-0.1.0"
  std::int64_t created_s = 0;
};

/// An SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3) as JSON, on one line: the root, and in it the packages. The
/// same arguments give the same bytes.
std::string to_spdx(const SpdxHead& head, const std::vector<Package>& packages);

}  // namespace cbuild::supply
