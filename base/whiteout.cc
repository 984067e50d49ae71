// SPDX-License-Identifier: Apache-2.0
#include "base/whiteout.h"

#include <cerrno>

#include "base/error.h"
#include "base/text.h"

namespace cbuild {

bool make_whiteout(int dirfd, const std::string& name) {
  if (::mknodat(dirfd, name.c_str(), S_IFCHR, 0) == 0) return true;
  if (errno == EPERM && ::mknodat(dirfd, name.c_str(), S_IFSOCK, 0) == 0) return true;
  if (errno != EEXIST) throw_errno(errno, cat("whiteout ", name));
  return false;
}

}  // namespace cbuild
