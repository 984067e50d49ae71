// SPDX-License-Identifier: Apache-2.0
#include "cache/content/open_real.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace cbuild::cache {

int detail::open_by_parts(int dirfd, const std::string& path, int flags) {
  UniqueFd place;
  std::size_t begin = 0;
  for (std::size_t end = path.find('/'); end != std::string::npos; begin = end + 1, end = path.find('/', begin)) {
    if (end == begin) continue;
    const std::string part = path.substr(begin, end - begin);
    if (part == "..") return errno = EXDEV, -1;
    const int at = place ? place.get() : dirfd;
    UniqueFd next(::openat(at, part.c_str(), O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC));
    if (!next) return -1;
    place = std::move(next);
  }
  const std::string last = begin == path.size() ? "." : path.substr(begin);
  if (last == "..") return errno = EXDEV, -1;
  UniqueFd out(::openat(place ? place.get() : dirfd, last.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
  if (!out) return -1;
  struct stat st {};
  const bool may_be_link = (flags & O_PATH) == 0 || (flags & O_NOFOLLOW) != 0;
  if (!may_be_link && ::fstat(out.get(), &st) == 0 && S_ISLNK(st.st_mode)) return errno = ELOOP, -1;
  return out.release();
}

std::optional<UniqueFd> open_real(int dirfd, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  for (;;) {
    long fd = ::syscall(SYS_openat2, dirfd, name, &how, sizeof how);
    if (fd < 0 && errno == ENOSYS) fd = detail::open_by_parts(dirfd, name, flags);
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
