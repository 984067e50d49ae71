// SPDX-License-Identifier: Apache-2.0
// The half of a child's setup that is not about mounts, and the loop over the steps.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
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

int OperationRunner::operator()(const JoinCgroups& operation) {
  for (const int procs : operation.procs_fds)
    if (const int error = kernel::write_all(procs, "0", 1); error < 0) return error;
  return 0;
}

int OperationRunner::operator()(const NewSession& operation) {
  if (const int error = set_parent_death_signal(); error < 0) return error;
  call(SYS_setsid);  // fails only for a process group leader, which has its own session already
  call(SYS_umask, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool terminal = operation.terminal_fd >= 0;
  const int input = operation.stdin_fd >= 0 ? operation.stdin_fd : child_.stdin_fd;
  long error = call(SYS_dup3, terminal ? operation.terminal_fd : input, 0, 0);
  if (error >= 0) error = call(SYS_dup3, terminal ? operation.terminal_fd : child_.stdout_fd, 1, 0);
  if (error >= 0) error = call(SYS_dup3, terminal ? operation.terminal_fd : child_.stderr_fd, 2, 0);
  if (error >= 0 && terminal) error = call(SYS_ioctl, 0, TIOCSCTTY, 0);
  return static_cast<int>(error);
}

int OperationRunner::operator()(const ChangeRoot& operation) {
  long error = call(SYS_fchdir, operation.fd);
  if (error >= 0) error = call(SYS_chroot, ".");
  return static_cast<int>(error < 0 ? error : call(SYS_chdir, "/"));
}

int OperationRunner::operator()(const LoopbackUp&) {
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

int OperationRunner::operator()(const EnterNetwork& operation) {
  return static_cast<int>(call(SYS_setns, operation.fd, CLONE_NEWNET));
}

int OperationRunner::operator()(const SetHostname& operation) {
  // A filter of the container around may refuse it; probe() has said so.
  const int error = static_cast<int>(call(SYS_sethostname, operation.name.data(), operation.name.size()));
  return error == -EPERM ? 0 : error;
}

int OperationRunner::operator()(const ProcessDefaults&) {
  call(SYS_umask, 0022);
  return static_cast<int>(call(SYS_prlimit64, 0, RLIMIT_NOFILE, &child_.open_files, nullptr));
}

int OperationRunner::operator()(const LimitResource& operation) {
  const rlimit limit{operation.soft, operation.hard};
  const long error = call(SYS_prlimit64, 0, operation.resource, &limit, nullptr);
  if (error != -EPERM) return static_cast<int>(error);
  kernel::write_all(2, operation.warning.data(), operation.warning.size());
  return 0;
}

int OperationRunner::operator()(const CloseDescriptors&) {
  if (child_.report_fd != kReportFd) {
    const long moved = call(SYS_dup3, child_.report_fd, kReportFd, O_CLOEXEC);
    if (moved < 0) return static_cast<int>(moved);
    child_.report_fd = kReportFd;
  }
  root_ = content_ = -1;
  return static_cast<int>(call(SYS_close_range, kReportFd + 1, ~0U, 0));
}

int OperationRunner::operator()(const EnterDirectory& operation) {
  const int root = static_cast<int>(call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root < 0) return root;
  int directory = kernel::open_in_root(root, operation.path.c_str(), O_PATH | O_DIRECTORY);
  if (directory == -ENOENT) directory = make_directories(root, operation.path, operation.uid, operation.gid);
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

int OperationRunner::operator()(const NewKeyring&) {
  // Best effort: kernels without keys, quota of the user used up, an outer filter.
  call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  return 0;
}

int OperationRunner::operator()(const BoundCapabilities& operation) {
  for (int capability = 0; capability < 64; ++capability) {
    const long held = call(SYS_prctl, PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) return 0;  // past the last one this kernel knows
    if (held == 0 || ((operation.keep >> capability) & 1) != 0) continue;
    const long error = call(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (error < 0 && operation.required) return static_cast<int>(error);
  }
  return 0;
}

int OperationRunner::operator()(const WriteLabel& operation) {
  const int file = static_cast<int>(call(SYS_openat, AT_FDCWD, operation.write.path.c_str(), O_WRONLY | O_CLOEXEC));
  int error = file;
  if (file >= 0) {
    error = kernel::write_all(file, operation.write.text.data(), operation.write.text.size());
    call(SYS_close, file);
  }
  return error < 0 && operation.write.required ? error : 0;
}

int OperationRunner::operator()(const NoNewPrivileges&) {
  return static_cast<int>(call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int OperationRunner::operator()(const FilterSystemCalls& operation) {
  // Without the flag, kernels before 5.16 slow the command down with speculation controls it did not ask for.
  long error = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, child_.filter);
  if (error == -EINVAL) error = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, child_.filter);
  return operation.required ? static_cast<int>(error) : 0;
}

int OperationRunner::operator()(const SetIds& operation) {
  // So that the command can reopen /dev/stdout; an id that is not mapped shows below.
  call(SYS_fchown, 1, operation.uid, -1);
  call(SYS_fchown, 2, operation.uid, -1);
  call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  long error = operation.may_set_groups ? call(SYS_setgroups, operation.groups.size(), operation.groups.data()) : 0;
  if (error >= 0) error = call(SYS_setresgid, operation.gid, operation.gid, operation.gid);
  if (error >= 0) error = call(SYS_setresuid, operation.uid, operation.uid, operation.uid);
  return static_cast<int>(error);
}

int OperationRunner::operator()(const SetCapabilities& operation) {
  CapabilitySets sets;
  if (const int error = sets.load(); error < 0) return error;
  for (int i = 0; i < 2; ++i) {
    sets.permitted[i] &= static_cast<std::uint32_t>(operation.keep >> (32 * i));
    sets.effective[i] = sets.permitted[i];
    if (operation.inherit) sets.inheritable[i] = sets.permitted[i];
  }
  if (const int error = sets.store(); error < 0) return error;
  call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned capability = 0; capability < 64 && operation.inherit; ++capability)
    if (((sets.permitted[capability / 32] >> (capability % 32)) & 1) != 0)
      call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  call(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
  return set_parent_death_signal();  // the change of ids has cleared it
}

Child::Child(const OperationList& to_run) : plan(to_run), slots(to_run.slots, -1) {
  const auto& execute = std::get<Execute>(plan.operations.back());
  const auto pointers = [](const std::vector<std::string>& texts, std::vector<char*>& out) {
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
  };
  pointers(execute.argv, argv);
  pointers(execute.environment, environment);
}

void run_setup(Child& child) {
  Report report;
  OperationRunner runner(child, report);
  for (const Operation& operation : child.plan.operations) {
    report.error = std::visit(runner, operation);
    if (report.error < 0) break;
    ++report.operation;
  }
  kernel::write_all(child.report_fd, reinterpret_cast<const char*>(&report), sizeof report);
  call(SYS_exit_group, kStatusOfFailedSetup);
  __builtin_unreachable();
}

}  // namespace cbuild::sandbox::setup
