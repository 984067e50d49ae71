// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "oci/layer/tar_writer.h"

/// Rules for the members of a layer's archive, whether they become a tree on disk or a table.
namespace cbuild::oci::layer {

/// Names that mean "deleted" in a layer (image-spec, layer.md, "Whiteouts").
inline constexpr std::string_view kWhiteoutPrefix = ".wh.";      ///< of the hidden name
inline constexpr std::string_view kOpaqueName = ".wh..wh..opq";  ///< hides all of its directory
inline constexpr std::string_view kMetaPrefix = ".wh..wh.";      ///< AUFS's own files; the opaque marker is one of them

inline constexpr std::uint64_t kMaxEntries = 1u << 24;
inline constexpr int kMaxSymlinks = 40;  ///< on the way to one entry, as the kernel counts them (path_resolution(7))

/// The path of a member in the tree, relative and without "." and ".."; "" is the root. Throws Error{corrupt} if it is
/// too long.
std::string clean_member_name(const std::string& name);

/// Whether an archive may set this xattr: not overlayfs's own, and none that only the host's administration may.
bool may_set_xattr(std::string_view name);

/// Sets the owner; throws Error{corrupt} for ids that no file can have.
void set_owner(TarEntry& entry, std::int64_t uid, std::int64_t gid);

/// Sets the numbers of a device, and none where the entry's type is another one, whatever the archive says. Throws
/// Error{corrupt} for numbers that Linux does not have.
void set_device(TarEntry& entry, std::uint64_t major, std::uint64_t minor);

}  // namespace cbuild::oci::layer
