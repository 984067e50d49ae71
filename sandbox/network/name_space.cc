// SPDX-License-Identifier: Apache-2.0
#include "sandbox/network/name_space.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox::network {
namespace {

/// A namespace belongs to a thread: one that has gone elsewhere is not used for anything else.
void on_own_thread(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void bring_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) throw_errno(errno, "loopback device");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throw_errno(errno, "bring loopback up");
}

}  // namespace

UniqueFd make_name_space() {
  UniqueFd out;
  on_own_thread([&] {
    if (::unshare(CLONE_NEWNET) != 0)
      throw Error(ErrorCode::unsupported, cat("cannot make a network namespace: ", std::strerror(errno)))
          .with_errno(errno);
    bring_loopback_up();
    out = sys::open_at(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY);
  });
  return out;
}

void in_name_space(int name_space, const std::function<void()>& body) {
  on_own_thread([&] {
    if (::setns(name_space, CLONE_NEWNET) != 0) throw_errno(errno, "enter a network namespace");
    body();
  });
}

}  // namespace cbuild::sandbox::network
