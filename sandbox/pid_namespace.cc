// SPDX-License-Identifier: Apache-2.0
#include "sandbox/pid_namespace.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "base/error.h"
#include "sandbox/kernel.h"

namespace cbuild::sandbox {
namespace {

constexpr timespec kTimeout{3, 0};

[[noreturn]] void guard(pid_t inner) {
  ::prctl(PR_SET_NAME, "cbuild-guard");
  // The builder waits for the end of the socket, which the inner process alone may hold.
  kernel::call(SYS_close_range, 3U, ~0U, 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  bool hurry = false;
  for (;;) {
    if (::waitpid(inner, nullptr, WNOHANG) == inner) ::_exit(0);
    const int signal = hurry ? ::sigtimedwait(&set, nullptr, &kTimeout) : ::sigwaitinfo(&set, nullptr);
    if (signal < 0 && errno == EAGAIN) ::_exit(1);
    if (signal == SIGTERM) hurry = true;  // the inner one sees its socket end, too
  }
}

}  // namespace

void enter_pid_namespace() {
  // Blocked before the fork, so that an early death of the inner process is not missed.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  if (::unshare(CLONE_NEWPID) != 0) throw_errno(errno, "unshare pid namespace");
  const pid_t inner = ::fork();
  if (inner < 0) throw_errno(errno, "fork into the pid namespace");
  if (inner > 0) guard(inner);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

}  // namespace cbuild::sandbox
