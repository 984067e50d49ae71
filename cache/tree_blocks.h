// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cbuild::cache {

/// Bytes of the real blocks of `name` in `dirfd` and of all below it, hard links counted once; 0 if it does not exist.
std::uint64_t tree_blocks(int dirfd, const std::string& name);

/// Of the files in directory `name`, the bytes of real blocks, those of a file with several names divided among them:
/// so the parts of all its names are the whole. Directories in it do not count.
std::uint64_t shared_blocks(int dirfd, const std::string& name);

}  // namespace cbuild::cache
