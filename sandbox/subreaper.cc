// SPDX-License-Identifier: Apache-2.0
#include "sandbox/subreaper.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "base/sys.h"
#include "base/text.h"
#include "sandbox/kernel.h"

namespace cbuild::sandbox {
namespace {

/// Children of this process where the kernel does not list them: by reading everybody's parent.
std::vector<pid_t> children_by_scan() {
  std::vector<pid_t> children;
  const auto proc = sys::try_open_at(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
  if (!proc) return children;
  for (const std::string& name : sys::list_dir(proc->get())) {
    const auto pid = parse_int(name);
    const auto file = pid ? sys::try_open_at(proc->get(), cat(name, "/stat"), O_RDONLY) : std::nullopt;
    if (!file) continue;
    const std::string stat = sys::read_all(file->get(), 1u << 16);
    const auto fields = split(std::string_view(stat).substr(std::min(stat.rfind(')') + 2, stat.size())), ' ');
    if (fields.size() > 1 && parse_int(fields[1]) == ::getpid()) children.push_back(static_cast<pid_t>(*pid));
  }
  return children;
}

std::vector<pid_t> children() {
  const auto file = sys::try_open_at(AT_FDCWD, "/proc/thread-self/children", O_RDONLY);
  if (!file) return children_by_scan();
  std::vector<pid_t> children;
  for (const std::string& pid : split(sys::read_all(file->get(), 1u << 22), ' '))
    if (const auto value = parse_int(pid)) children.push_back(static_cast<pid_t>(*value));
  return children;
}

/// Kills generation after generation: children of a dead process become children of this one.
void kill_all() {
  for (;;) {
    for (const pid_t pid : children()) ::kill(pid, SIGKILL);
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
  }
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/// Waits for the command or for the order to kill it; gives its exit code.
int watch(int signals, pid_t command) {
  for (;;) {
    signalfd_siginfo info{};
    if (::read(signals, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGTERM) ::kill(command, SIGTERM);
    if (info.ssi_signo == SIGUSR1) return 128 + SIGKILL;
    if (info.ssi_signo != SIGCHLD) continue;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == command) return exit_code(status);
  }
}

/// The zygote's socket above all: the builder must see its end when the zygote dies.
void close_all_but(int a, int b) {
  const unsigned low = static_cast<unsigned>(std::min(a, b)), high = static_cast<unsigned>(std::max(a, b));
  if (low > 3) kernel::call(SYS_close_range, 3U, low - 1, 0);
  if (high > low + 1) kernel::call(SYS_close_range, low + 1, high - 1, 0);
  kernel::call(SYS_close_range, high + 1, ~0U, 0);
}

}  // namespace

void run_as_subreaper(setup::Child& child) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "cbuild-reaper");
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  int code = 125;
  const long command = signals ? kernel::clone_process(child.plan.namespaces, -1) : -EMFILE;
  if (command == 0) setup::run_setup(child);
  close_all_but(signals.get(), child.report_fd);
  try {
    if (command > 0) code = watch(signals.get(), static_cast<pid_t>(command));
    kill_all();
  } catch (...) {
    ::kill(static_cast<pid_t>(command), SIGKILL);
  }
  if (command < 0) {
    setup::Report report;
    report.error = static_cast<std::int32_t>(command);
    kernel::write_all(child.report_fd, reinterpret_cast<const char*>(&report), sizeof report);
  }
  ::_exit(code);
}

}  // namespace cbuild::sandbox
