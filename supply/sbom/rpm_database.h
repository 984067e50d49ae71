// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "supply/sbom/package.h"
#include "supply/sbom/system_packages.h"

namespace cbuild::supply {

/// One package's header as rpm stores it; nullopt for other bytes.
std::optional<Package> parse_rpm_header(std::string_view header, const Distribution& distribution);

/// The packages of an rpmdb.sqlite. Throws Error{corrupt} for another file.
std::vector<Package> parse_rpm_database(const std::string& file, const Distribution& distribution);

}  // namespace cbuild::supply
