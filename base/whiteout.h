// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <string>

namespace cbuild {

/// Whether an entry of a layer's directory says that this name of the layers below is gone: a character device 0:0, as
/// overlayfs has it, or a socket without any permission, where the file system refuses that device (an overlay itself).
/// No layer holds sockets.
inline bool is_whiteout(const struct stat& st) {
  return (S_ISCHR(st.st_mode) && st.st_rdev == 0) || (st.st_mode & (S_IFMT | 07777)) == S_IFSOCK;
}

/// The attribute with the value "y" of a directory of a layer that hides what the layers below have at its name, as an
/// overlay of such a store reads it.
inline const char* opaque_xattr(bool user_xattr) {
  return user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

/// Makes one. False if the name exists. Throws Error.
bool make_whiteout(int dirfd, const std::string& name);

}  // namespace cbuild
