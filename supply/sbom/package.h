// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace cbuild::supply {

/// A package that an image has, or that a lock file in it names.
struct Package {
  std::string type;        ///< as package URLs have it: "deb", "apk", "rpm", "npm", "pypi", "cargo", "golang", ...
  std::string name_space;  ///< "debian", "@angular", "org.apache.commons"
  std::string name, version;
  std::map<std::string, std::string> qualifiers;  ///< of its package URL: "arch", "distro", "upstream"
  std::string license;                            ///< as the package says it
  std::string supplier;                           ///< "Jane Doe <jane@example.com>"
  std::string path;                               ///< file that says so, relative to the root

  bool operator==(const Package&) const = default;
  auto operator<=>(const Package&) const = default;
};

}  // namespace cbuild::supply
