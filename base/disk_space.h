// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild {

/// The free space of the file system that holds `path`: "1.2 MB and 300 inodes free now". Empty where it cannot be
/// asked.
std::string free_space(const std::string& path);

/// The directory where the file system that holds `path` begins: its mount point. `path` where it cannot be told.
std::string mount_point(const std::string& path);

}  // namespace cbuild
