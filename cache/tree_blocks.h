// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cbuild::cache {

/// Bytes of the real blocks of `name` in `dirfd` and of all below it, hard links counted once; 0 if it does not exist.
std::uint64_t tree_blocks(int dirfd, const std::string& name);

}  // namespace cbuild::cache
