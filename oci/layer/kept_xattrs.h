// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/sys.h"

namespace cbuild::oci::layer {

/// The xattrs of a file or directory, divided into those that a layer carries and those that overlayfs left there.
struct KeptXattrs {
  std::vector<sys::Xattr> kept;  ///< security.capability and user.* without overlay's
  bool opaque = false;           ///< overlay.opaque = "y"
  std::string refused;  ///< an overlay xattr that makes the body or the name of the entry live elsewhere; or empty
};

/// Reads them from an open file. One system call where there are none. Empty where the file system has no xattrs.
KeptXattrs read_kept_xattrs(int fd, const std::string& path);

/// Whether overlayfs uses this one for itself.
bool is_overlay_xattr(std::string_view name);
/// Whether a layer carries this one.
bool is_kept(std::string_view name);

/// A file capability without the user namespace it was set in: revision 3 becomes revision 2 (linux/capability.h).
std::string portable_capability(std::string value);

}  // namespace cbuild::oci::layer
