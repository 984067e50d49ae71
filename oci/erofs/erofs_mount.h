// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "base/fd.h"

namespace cbuild::oci::erofs {

/// Mounts an image of make_image() whose archive is the files `parts`, regular ones as the image, read-only and
/// attached nowhere: the descriptor is its root and the mount goes with it, and with overlays that were made of it. The
/// kernel has to read EROFS from files (6.12). Throws Error.
UniqueFd mount_image(int image_fd, std::span<const int> parts);

/// Whether that works for files in the directory `dirfd`, and an overlay takes such a mount as a layer (6.15): found
/// out by doing it, with files that have no name.
bool can_mount_in(int dirfd) noexcept;

}  // namespace cbuild::oci::erofs
