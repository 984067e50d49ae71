// SPDX-License-Identifier: Apache-2.0
#include "sandbox/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "sandbox/kernel.h"

namespace cbuild::sandbox {
namespace {

constexpr int kTimeoutMs = 4000;

/// A step with 500 layers needs as many descriptors.
rlimit raise_open_files() {
  rlimit inherited{};
  ::getrlimit(RLIMIT_NOFILE, &inherited);
  const rlimit raised{inherited.rlim_max, inherited.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &raised);
  return inherited;
}

/// Makes the forked child independent of the builder and its open files.
PacketSocket detach_from_builder(const PacketSocket& socket, pid_t builder) {
  // TERM, not KILL: it takes its cgroups away before it goes.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != builder) ::_exit(0);
  ::prctl(PR_SET_NAME, "cbuild-zygote");
  ::setsid();  // a ^C on the terminal is the builder's to handle
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  // Above the descriptors that are moved around here, wherever the builder had it.
  constexpr int kSocket = 3;
  const int out_of_the_way = ::fcntl(socket.fd(), F_DUPFD_CLOEXEC, 10);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (out_of_the_way < 0 || null < 0) ::_exit(1);
  for (const int fd : {0, 1, 2}) kernel::call(SYS_dup3, null, fd, 0);
  kernel::call(SYS_dup3, out_of_the_way, kSocket, O_CLOEXEC);
  kernel::call(SYS_close_range, kSocket + 1, ~0U, 0);
  return PacketSocket(UniqueFd(kSocket));
}

[[noreturn]] void zygote_main(const PacketSocket& socket, pid_t builder) {
  try {
    PacketSocket own = detach_from_builder(socket, builder);
    const rlimit open_files = raise_open_files();
    run_zygote(std::move(own), open_files);
  } catch (...) {
    ::_exit(1);  // the builder sees the socket's end
  }
  ::_exit(0);
}

}  // namespace

Zygote Zygote::start() {
  auto [ours, theirs] = PacketSocket::pair();
  const pid_t builder = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno(errno, "fork");
  if (pid == 0) zygote_main(theirs, builder);
  auto impl = std::make_unique<Impl>();
  impl->socket = std::make_shared<PacketSocket>(std::move(ours));
  impl->pid = pid;
  impl->pidfd = UniqueFd(static_cast<int>(kernel::call(SYS_pidfd_open, pid, 0)));
  return Zygote(std::move(impl));
}

Zygote::Zygote(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Zygote::Zygote(Zygote&&) noexcept = default;

Zygote& Zygote::operator=(Zygote&& other) noexcept {
  Zygote old(std::move(*this));
  impl_ = std::move(other.impl_);
  return *this;
}

Zygote::~Zygote() {
  if (!impl_) return;
  // It kills its steps, takes its cgroups away and ends; if it cannot, it is ended, and its steps with it.
  impl_->socket->shut_down();
  pollfd polled{impl_->pidfd.get(), POLLIN, 0};
  if (::poll(&polled, 1, kTimeoutMs) != 1) ::kill(impl_->pid, SIGKILL);
  while (::waitpid(impl_->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace cbuild::sandbox
