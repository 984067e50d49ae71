// SPDX-License-Identifier: Apache-2.0
#include "base/process/standard_fds.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace cbuild {

void open_standard_fds() noexcept {
  // The wrong direction for 0 and 1 is what makes their use fail.
  constexpr std::array<int, 3> kFlags = {O_WRONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    int opened = ::open("/dev/null", kFlags[static_cast<std::size_t>(fd)]);  // the lowest free one, which is `fd`
    if (opened < 0) opened = ::open("/", O_RDONLY | O_DIRECTORY);            // no /dev here
    if (opened != fd) std::abort();
  }
}

}  // namespace cbuild
