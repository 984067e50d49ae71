// SPDX-License-Identifier: Apache-2.0
#include "base/duplicate.h"

#include <fcntl.h>

#include <cerrno>

#include "base/error.h"

namespace cbuild {

UniqueFd duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw_errno(errno, "duplicate a descriptor");
  return copy;
}

}  // namespace cbuild
