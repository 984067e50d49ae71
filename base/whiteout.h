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

/// Makes one. False if the name exists. Throws Error.
bool make_whiteout(int dirfd, const std::string& name);

}  // namespace cbuild
