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

namespace detail {
/// The same where there is no openat2 (emulators, old kernels): a part of the name at a time. -1 and errno as the
/// kernel's call has them, but that ".." is EXDEV everywhere.
int open_by_parts(int dirfd, const std::string& path, int flags);
}  // namespace detail

}  // namespace cbuild::cache
