// SPDX-License-Identifier: Apache-2.0
#include "cache/content/open_real.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace cbuild::cache {

std::optional<UniqueFd> open_real(int dirfd, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  for (;;) {
    const long fd = ::syscall(SYS_openat2, dirfd, name, &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    const int err = errno;
    // EAGAIN: something was renamed meanwhile and the kernel could not prove that we stayed below.
    if (err == EINTR || err == EAGAIN) continue;
    if (err == ENOENT || err == ENOTDIR || err == ELOOP || err == ENAMETOOLONG) return std::nullopt;
    throw_errno(err, "open " + path);
  }
}

void throw_missing(const std::string& path) {
  throw Error(ErrorCode::not_found, "/" + path + ": no such file or directory");
}

}  // namespace cbuild::cache
