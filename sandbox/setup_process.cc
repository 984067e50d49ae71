// SPDX-License-Identifier: Apache-2.0
// The half of a child's setup that is not about mounts, and the loop over the steps.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <climits>
#include <csignal>
#include <cstring>

#include "sandbox/kernel.h"
#include "sandbox/setup_steps.h"

namespace cbuild::sandbox::setup {
namespace {

using kernel::call;

constexpr int kReportFd = 3;
constexpr int kStatusOfFailedSetup = 125;

int set_parent_death_signal() { return static_cast<int>(call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); }

struct CapabilitySets {
  std::uint32_t effective[2] = {}, permitted[2] = {}, inheritable[2] = {};

  int load() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    const long error = call(SYS_capget, &header, data);
    for (int i = 0; i < 2; ++i) permitted[i] = data[i].permitted;
    return static_cast<int>(error);
  }
  int store() const {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    for (int i = 0; i < 2; ++i) data[i] = {effective[i], permitted[i], inheritable[i]};
    return static_cast<int>(call(SYS_capset, &header, data));
  }
};

/// Makes a missing directory and its missing parents for the user of the step; gives the directory.
int make_directories(int root, const std::string& target, uid_t uid, gid_t gid) {
  char path[PATH_MAX];
  if (target.size() >= sizeof path) return -ENAMETOOLONG;
  std::memcpy(path, target.c_str(), target.size() + 1);
  int parent = kernel::open_in_root(root, "/", O_PATH | O_DIRECTORY);
  for (char* name = path + 1; parent >= 0;) {
    char* slash = std::strchr(name, '/');
    if (slash != nullptr) *slash = '\0';
    // Resolved from the root each time, because a part may be a symlink.
    int next = kernel::open_in_root(root, path, O_PATH | O_DIRECTORY);
    if (next == -ENOENT) {
      long error = call(SYS_mkdirat, parent, name, 0755);
      if (error >= 0) error = call(SYS_fchownat, parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
      next = error < 0 ? static_cast<int>(error) : kernel::open_in_root(root, path, O_PATH | O_DIRECTORY);
    }
    call(SYS_close, parent);
    if (slash == nullptr || next < 0) return next;
    *slash = '/';
    name = slash + 1;
    parent = next;
  }
  return parent;
}

}  // namespace

int StepRunner::operator()(const JoinCgroups& step) {
  for (const int procs : step.procs_fds)
    if (const int error = kernel::write_all(procs, "0", 1); error < 0) return error;
  return 0;
}

int StepRunner::operator()(const NewSession&) {
  if (const int error = set_parent_death_signal(); error < 0) return error;
  call(SYS_setsid);  // fails only for a process group leader, which has its own session already
  call(SYS_umask, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  long error = call(SYS_dup3, child_.stdin_fd, 0, 0);
  if (error >= 0) error = call(SYS_dup3, child_.stdout_fd, 1, 0);
  if (error >= 0) error = call(SYS_dup3, child_.stderr_fd, 2, 0);
  return static_cast<int>(error);
}

int StepRunner::operator()(const ChangeRoot& step) {
  long error = call(SYS_fchdir, step.fd);
  if (error >= 0) error = call(SYS_chroot, ".");
  return static_cast<int>(error < 0 ? error : call(SYS_chdir, "/"));
}

int StepRunner::operator()(const LoopbackUp&) {
  const int fd = static_cast<int>(call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd < 0) return fd == -EAFNOSUPPORT ? 0 : fd;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  long error = call(SYS_ioctl, fd, SIOCGIFFLAGS, &request);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (error >= 0) error = call(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
  call(SYS_close, fd);
  return static_cast<int>(error);
}

int StepRunner::operator()(const SetHostname& step) {
  // A filter of the container around may refuse it; probe() has said so.
  const int error = static_cast<int>(call(SYS_sethostname, step.name.data(), step.name.size()));
  return error == -EPERM ? 0 : error;
}

int StepRunner::operator()(const ProcessDefaults&) {
  call(SYS_umask, 0022);
  return static_cast<int>(call(SYS_prlimit64, 0, RLIMIT_NOFILE, &child_.open_files, nullptr));
}

int StepRunner::operator()(const LimitResource& step) {
  const rlimit limit{step.soft, step.hard};
  const long error = call(SYS_prlimit64, 0, step.resource, &limit, nullptr);
  if (error != -EPERM) return static_cast<int>(error);
  kernel::write_all(2, step.warning.data(), step.warning.size());
  return 0;
}

int StepRunner::operator()(const CloseDescriptors&) {
  if (child_.report_fd != kReportFd) {
    const long moved = call(SYS_dup3, child_.report_fd, kReportFd, O_CLOEXEC);
    if (moved < 0) return static_cast<int>(moved);
    child_.report_fd = kReportFd;
  }
  root_ = content_ = -1;
  return static_cast<int>(call(SYS_close_range, kReportFd + 1, ~0U, 0));
}

int StepRunner::operator()(const EnterDirectory& step) {
  const int root = static_cast<int>(call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root < 0) return root;
  int directory = kernel::open_in_root(root, step.path.c_str(), O_PATH | O_DIRECTORY);
  if (directory == -ENOENT) directory = make_directories(root, step.path, step.uid, step.gid);
  call(SYS_close, root);
  if (directory < 0) return directory;
  const long entered = call(SYS_fchdir, directory);
  call(SYS_close, directory);
  if (entered < 0) return static_cast<int>(entered);
  // A directory outside of the root shows as "(unreachable)/...".
  char path[PATH_MAX];
  const long length = call(SYS_getcwd, path, sizeof path);
  if (length < 0) return static_cast<int>(length);
  return path[0] == '/' ? 0 : -ENOENT;
}

int StepRunner::operator()(const NewKeyring&) {
  // Best effort: kernels without keys, quota of the user used up, an outer filter.
  call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  return 0;
}

int StepRunner::operator()(const BoundCapabilities& step) {
  for (int capability = 0; capability < 64; ++capability) {
    const long held = call(SYS_prctl, PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) return 0;  // past the last one this kernel knows
    if (held == 0 || ((step.keep >> capability) & 1) != 0) continue;
    const long error = call(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (error < 0 && step.required) return static_cast<int>(error);
  }
  return 0;
}

int StepRunner::operator()(const FilterSystemCalls& step) {
  // Without the flag, kernels before 5.16 slow the command down with speculation controls it did not ask for.
  long error = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, child_.filter);
  if (error == -EINVAL) error = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, child_.filter);
  return step.required ? static_cast<int>(error) : 0;
}

int StepRunner::operator()(const SetIds& step) {
  // So that the command can reopen /dev/stdout; an id that is not mapped shows below.
  call(SYS_fchown, 1, step.uid, -1);
  call(SYS_fchown, 2, step.uid, -1);
  call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  long error = step.may_set_groups ? call(SYS_setgroups, step.groups.size(), step.groups.data()) : 0;
  if (error >= 0) error = call(SYS_setresgid, step.gid, step.gid, step.gid);
  if (error >= 0) error = call(SYS_setresuid, step.uid, step.uid, step.uid);
  return static_cast<int>(error);
}

int StepRunner::operator()(const SetCapabilities& step) {
  CapabilitySets sets;
  if (const int error = sets.load(); error < 0) return error;
  for (int i = 0; i < 2; ++i) {
    sets.permitted[i] &= static_cast<std::uint32_t>(step.keep >> (32 * i));
    sets.effective[i] = sets.permitted[i];
    if (step.inherit) sets.inheritable[i] = sets.permitted[i];
  }
  if (const int error = sets.store(); error < 0) return error;
  call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned capability = 0; capability < 64 && step.inherit; ++capability)
    if (((sets.permitted[capability / 32] >> (capability % 32)) & 1) != 0)
      call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  call(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
  return set_parent_death_signal();  // the change of ids has cleared it
}

int StepRunner::operator()(const Execute& step) {
  const auto executable = [](const char* path) -> long {
    struct stat info {};
    const long error = call(SYS_newfstatat, AT_FDCWD, path, &info, 0);
    if (error < 0) return error;
    if (S_ISDIR(info.st_mode)) return -EACCES;
    const long allowed = call(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS);
    return allowed == -ENOSYS ? 0 : allowed;
  };
  const char* program = nullptr;
  const bool by_path = step.argv[0].find('/') == std::string::npos;
  if (!by_path) {
    program = step.argv[0].c_str();
    if (const long error = executable(program); error < 0) {
      report_.exec_failure = error == -EACCES ? ExecFailure::not_executable : ExecFailure::not_found;
      return static_cast<int>(error);
    }
  }
  for (const std::string& candidate : step.candidates)
    if (program == nullptr && executable(candidate.c_str()) == 0) program = candidate.c_str();
  if (program == nullptr) {
    report_.exec_failure = ExecFailure::not_in_path;
    return -ENOENT;
  }
  const long error = call(SYS_execve, program, child_.argv.data(), child_.environment.data());
  report_.exec_failure = ExecFailure::exec_failed;
  std::strncpy(report_.message, program, sizeof report_.message - 1);
  return static_cast<int>(error);
}

Child::Child(const Plan& to_run) : plan(to_run), slots(to_run.slots, -1) {
  const auto& execute = std::get<Execute>(plan.steps.back());
  const auto pointers = [](const std::vector<std::string>& texts, std::vector<char*>& out) {
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
  };
  pointers(execute.argv, argv);
  pointers(execute.environment, environment);
}

void run_setup(Child& child) {
  Report report;
  StepRunner runner(child, report);
  for (const Step& step : child.plan.steps) {
    report.error = std::visit(runner, step);
    if (report.error < 0) break;
    ++report.step;
  }
  kernel::write_all(child.report_fd, reinterpret_cast<const char*>(&report), sizeof report);
  call(SYS_exit_group, kStatusOfFailedSetup);
  __builtin_unreachable();
}

}  // namespace cbuild::sandbox::setup
