// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "supply/sbom/package.h"

namespace cbuild::supply {

/// os-release(5): "debian" and "12".
struct Distribution {
  std::string id, version;

  /// "debian-12"; "debian" without a version.
  std::string str() const { return version.empty() ? id : id + "-" + version; }
};

Distribution parse_os_release(std::string_view text);

/// The packages of dpkg's status file, or of one entry of distroless images' status.d, that are installed.
std::vector<Package> parse_dpkg_status(std::string_view text, const Distribution& distribution);

/// Those of apk's database.
std::vector<Package> parse_apk_database(std::string_view text, const Distribution& distribution);

}  // namespace cbuild::supply
