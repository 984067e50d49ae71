// SPDX-License-Identifier: Apache-2.0
#include "base/process/standard_fds.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace cbuild {
namespace {

/// Exit code of a process that closes the descriptors of `closed` (bits) before it opens them.
int in_child(unsigned closed) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (int fd = 0; fd < 3; ++fd)
      if ((closed >> fd & 1U) != 0) ::close(fd);
    open_standard_fds();
    for (int fd = 0; fd < 3; ++fd)
      if (::fcntl(fd, F_GETFD) != 0) ::_exit(10 + fd);  // closed, or closed on exec
    char byte = 0;
    if ((closed & 1U) != 0 && (::read(0, &byte, 1) >= 0 || errno != EBADF)) ::_exit(20);
    if ((closed & 2U) != 0 && (::write(1, &byte, 1) >= 0 || errno != EBADF)) ::_exit(21);
    if ((closed & 4U) != 0 && ::write(2, &byte, 1) != 1) ::_exit(22);
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::_exit(next > 2 ? 0 : 30);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("closed standard descriptors are opened, the others stay") {
  for (unsigned closed = 0; closed < 8; ++closed) {
    CAPTURE(closed);
    CHECK(in_child(closed) == 0);
  }
}

}  // namespace cbuild
