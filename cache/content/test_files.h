// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "base/digest.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

/// Files for tests: of this module, and of those that stand on it.
namespace cbuild::cache::testing {

inline void write_file(int dirfd, const std::string& path, const std::string& content, mode_t mode = 0644) {
  if (dir_name(path) != ".") sys::mkdir_all(dirfd, dir_name(path), 0755);
  UniqueFd file = sys::open_at(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  sys::write_all(file.get(), content);
  ::fchmod(file.get(), mode);
}

inline Digest digest_of(const std::string& text) { return sha256(text); }

inline void make_symlink(int dirfd, const std::string& target, const std::string& path) {
  if (::symlinkat(target.c_str(), dirfd, path.c_str()) != 0) throw_errno(errno, "symlink");
}

inline void make_whiteout(int dirfd, const std::string& path) {
  if (dir_name(path) != ".") sys::mkdir_all(dirfd, dir_name(path), 0755);
  if (::mknodat(dirfd, path.c_str(), S_IFCHR, makedev(0, 0)) != 0) throw_errno(errno, "mknod");
}

inline void make_opaque(int dirfd, const std::string& path) {
  sys::mkdir_all(dirfd, path, 0755);
  if (!sys::set_xattr_at(dirfd, path, {"trusted.overlay.opaque", "y"}))
    throw Error(ErrorCode::unsupported, "trusted xattr");
}

}  // namespace cbuild::cache::testing
