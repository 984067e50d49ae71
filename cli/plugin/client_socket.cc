// SPDX-License-Identifier: Apache-2.0
// The kernel sends the signal, so that no thread waits for it: a build forks its helper before it has threads.
#include "cli/plugin/client_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

namespace cbuild::cli {

UniqueFd watch_docker_client(const std::string& socket) {
  sockaddr_un address{};
  if (socket.empty() || socket.size() >= sizeof(address.sun_path)) return {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  const bool is_abstract = socket.front() == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (is_abstract ? 0 : 1));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
  if (::fcntl(fd.get(), F_SETOWN, ::getpid()) != 0 || ::fcntl(fd.get(), F_SETFL, O_ASYNC) != 0) return {};
  pollfd closed{fd.get(), POLLIN, 0};
  if (::poll(&closed, 1, 0) == 1 && (closed.revents & (POLLHUP | POLLERR)) != 0) ::raise(SIGIO);
  return fd;
}

}  // namespace cbuild::cli
