// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace cbuild {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) reset(std::exchange(other.fd_, -1));
  return *this;
}

UniqueFd::~UniqueFd() { reset(); }

void UniqueFd::reset(int fd) noexcept {
  if (fd == fd_) return;
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  const int saved = errno;
  ::close(old);
  errno = saved;
}

void UniqueFd::close_checked() {
  const int old = release();
  if (old < 0) return;
  // Linux frees the descriptor even when close reports EINTR, so it is never retried and EINTR is not data loss.
  if (::close(old) != 0 && errno != EINTR) throw_errno(errno, "close");
}

}  // namespace cbuild
