// SPDX-License-Identifier: Apache-2.0
#include "base/owner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sys {

void set_owner(int dirfd, const char* name, uid_t uid, gid_t gid) {
  if (::fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0) return;
  const int err = errno;
  const std::string what = cat("set owner ", uid, ":", gid);
  if (err == EPERM)
    throw Error(ErrorCode::denied, cat(what, ": ", std::strerror(err)))
        .with_errno(err)
        .with_hint(
            "the files of a layer belong to other users, which takes root or a user namespace "
            "(docker: --security-opt seccomp=unconfined)");
  if (err != EINVAL) throw_errno(err, what);
  throw Error(ErrorCode::denied, cat(what, ": not mapped into this user namespace"))
      .with_errno(err)
      .with_hint("give the user more ids in /etc/subuid and /etc/subgid");
}

void set_owner_and_mode(int directory, uid_t uid, gid_t gid, mode_t mode, const char* what) {
  set_owner(directory, "", uid, gid);
  if (::fchmod(directory, mode & 07777) != 0) throw_errno(errno, cat("chmod of ", what));
}

}  // namespace cbuild::sys
