// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/listen.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr int kBacklog = 128;
constexpr int kFirstInherited = 3;
constexpr std::string_view kUnix = "unix://", kTcp = "tcp://";

UniqueFd make_socket(int family) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno(errno, "socket");
  return fd;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path || !path.starts_with('/'))
    throw Error(ErrorCode::usage, cat("unix://", path, ": not an absolute path of at most 107 bytes"));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

Listener listen_unix(const std::string& path) {
  const sockaddr_un address = address_of(path);
  UniqueFd fd = make_socket(AF_UNIX);
  if (const UniqueFd probe = make_socket(AF_UNIX); ::connect(probe.get(), generic(address), sizeof address) == 0)
    throw Error(ErrorCode::usage, cat("unix://", path, ": another program listens there"));
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode)) ::unlink(path.c_str());
  if (!dir_name(path).empty()) sys::mkdir_all(AT_FDCWD, dir_name(path), 0755);
  const mode_t mask = ::umask(0117);
  const int bound = ::bind(fd.get(), generic(address), sizeof address);
  const int err = errno;
  ::umask(mask);
  if (bound != 0) throw_errno(err, cat("unix://", path));
  if (::listen(fd.get(), kBacklog) != 0) throw_errno(errno, cat("unix://", path));
  return {std::move(fd), cat(kUnix, path), true, path};
}

Listener listen_tcp(const std::string& place) {
  const std::size_t colon = place.rfind(':');
  if (colon == std::string::npos) throw Error(ErrorCode::usage, cat("tcp://", place, ": not HOST:PORT"));
  std::string host = place.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  const int code =
      ::getaddrinfo(host.empty() ? nullptr : host.c_str(), place.substr(colon + 1).c_str(), &hints, &found);
  if (code != 0) throw Error(ErrorCode::usage, cat("tcp://", place, ": ", ::gai_strerror(code)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  UniqueFd fd = make_socket(found->ai_family);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0) throw_errno(errno, cat("tcp://", place));
  if (::listen(fd.get(), kBacklog) != 0) throw_errno(errno, cat("tcp://", place));
  return {std::move(fd), cat(kTcp, place)};
}

}  // namespace

Listener listen_on(const std::string& address) {
  if (address.starts_with(kUnix)) return listen_unix(address.substr(kUnix.size()));
  if (address.starts_with(kTcp)) return listen_tcp(address.substr(kTcp.size()));
  throw Error(ErrorCode::usage, cat("address ", address, ": not unix:///PATH or tcp://HOST:PORT"));
}

std::vector<Listener> inherited_listeners() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || parse_int(pid) != ::getpid()) return {};
  const auto number = parse_int(count);
  std::vector<Listener> out;
  for (int fd = kFirstInherited; number && fd < kFirstInherited + *number; ++fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno(errno, "an inherited socket");
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    out.push_back({UniqueFd(fd), cat("socket ", fd), address.ss_family == AF_UNIX});
  }
  return out;
}

}  // namespace cbuild::api
