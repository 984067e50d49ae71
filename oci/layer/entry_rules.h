// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Rules for the members of a layer's archive, whether they become a tree on disk or a table.
namespace cbuild::oci::layer {

inline constexpr std::uint64_t kMaxEntries = 1u << 24;
inline constexpr int kMaxSymlinks = 40;  ///< on the way to one entry, as the kernel counts them (path_resolution(7))

/// The path of a member in the tree, relative and without "." and ".."; "" is the root. Throws Error{corrupt} if it is
/// too long.
std::string clean_member_name(const std::string& name);

/// Whether an archive may set this xattr: not overlayfs's own, and none that only the host's administration may.
bool may_set_xattr(std::string_view name);

}  // namespace cbuild::oci::layer
