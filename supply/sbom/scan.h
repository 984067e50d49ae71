// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "supply/sbom/file_tree.h"
#include "supply/sbom/package.h"

namespace cbuild::supply {

/// The packages of an image.
struct ScanResult {
  std::vector<Package> packages;   ///< sorted, each once
  std::vector<std::string> notes;  ///< parts of the image that could not be read
};

/// Finds the packages of dpkg, apk and rpm, those that lock files name, and installed distributions of Python. The
/// image may be hostile: depth, number of entries, sizes of files and of the result are bounded, and a bound that is
/// met is a note. `check` is called often and may throw.
ScanResult scan_packages(FileTree& files, const std::function<void()>& check = nullptr);

}  // namespace cbuild::supply
