// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"

namespace cbuild::cache {

/// Opens `path` below `dirfd` ("" is dirfd itself) with no symlink followed anywhere on the way: openat2 with
/// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. A symlink itself opens with O_PATH|O_NOFOLLOW. nullopt if
/// something is missing or no real directory.
std::optional<UniqueFd> open_real(int dirfd, const std::string& path, int flags);

/// Throws Error{not_found} for the path of a tree, which is shown as it is inside of the tree.
[[noreturn]] void throw_missing(const std::string& path);

}  // namespace cbuild::cache
