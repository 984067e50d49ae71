// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "oci/platform.h"
#include "oci/reference.h"

namespace cbuild::supply {

/// A package URL (github.com/package-url/purl-spec): a name for a package of any kind.
struct Purl {
  std::string type;        ///< "docker", "deb", "npm"
  std::string name_space;  ///< segments, with '/' between them; may be empty
  std::string name, version;
  std::map<std::string, std::string> qualifiers;  ///< those with an empty value are left out

  /// "pkg:deb/debian/curl@7.50.3-1?arch=amd64", percent-encoded.
  std::string str() const;
};

/// The package URL of an image as BuildKit writes it. `type` is "docker", or "oci" for an image of a layout.
std::string image_purl(std::string_view type, const oci::Reference& reference,
                       const std::optional<oci::Platform>& platform);

}  // namespace cbuild::supply
