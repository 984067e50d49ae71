// SPDX-License-Identifier: Apache-2.0
// Finds out how much isolation is possible by trying it: in a child process, so that nothing remains, it makes the
// namespaces and mounts that a step will need. Too many settings, security modules and container runtimes can forbid
// one of them to tell from versions or files. Modes are tried from the strongest down; the reasons against each are
// kept for the user.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/process/process_limits.h"
#include "base/text.h"
#include "sandbox/kernel.h"
#include "sandbox/runner.h"

namespace cbuild::sandbox {
namespace {

/// How far a trial came. `what` is a literal of this program, valid on both sides of a fork.
struct Outcome {
  int error = 0;
  const char* what = "";
  bool no_proc = false;      ///< all but an own /proc
  bool no_hostname = false;  ///< a step's host name cannot be set

  bool good() const { return error == 0 && !no_proc; }
};

/// Runs a trial in a child, so that nothing of it stays. Throws nothing: a trial may try something in a child, too, and
/// an exception would take that copy of the program back to where the builder came from.
Outcome in_child(const std::function<Outcome()>& trial) noexcept {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return {errno, "make a pipe"};
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return {errno, "start a process"};
  if (pid == 0) {
    const Outcome outcome = trial();
    kernel::write_all(write_end.get(), reinterpret_cast<const char*>(&outcome), sizeof outcome);
    ::_exit(0);
  }
  write_end.reset();
  Outcome outcome{EIO, "trial process", false};
  while (::read(read_end.get(), &outcome, sizeof outcome) < 0 && errno == EINTR) {
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return outcome;
}

int mount_detached(const char* type, UniqueFd* mounted = nullptr) {
  const UniqueFd fs(kernel::fs_open(type));
  if (!fs) return errno;
  const int created = kernel::fs_create(fs.get());
  if (created < 0) return -created;
  UniqueFd tree(kernel::fs_mount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!tree) return errno;
  if (mounted != nullptr) *mounted = std::move(tree);
  return 0;
}

/// The last thing a trial can do: the process lives in the empty file system `root` then.
int try_root(int root) {
  const UniqueFd target(::open("/proc", O_PATH | O_CLOEXEC));
  if (!target) return -errno;
  const int error = kernel::attach(root, target.get());
  return error < 0 ? error : kernel::enter_root(root);
}

/// As init of a new pid namespace, with a mount namespace of its own.
Outcome try_mounts() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {errno, "change mount propagation"};
  UniqueFd root;
  if (const int error = mount_detached("tmpfs", &root)) return {error, "mount tmpfs"};
  if (const UniqueFd overlay(kernel::fs_open("overlay")); !overlay) return {ENODEV, "find the overlay file system"};
  if (const UniqueFd tree(kernel::clone_tree(AT_FDCWD, "/proc", true)); !tree) return {errno, "clone /proc"};
  const bool no_hostname = ::sethostname("cbuild", 6) != 0 && errno == EPERM;
  const int proc_error = mount_detached("proc");
  if (const int error = try_root(root.get()); error < 0) return {-error, "change the root directory"};
  return {proc_error, proc_error != 0 ? "mount proc" : "", proc_error != 0, no_hostname};
}

/// Mounts that real root alone may make: the root of a user namespace has every capability and still fails here,
/// because layers are marked with attributes of the whole machine, and sysfs belongs to whom the network namespace
/// belongs.
Outcome try_mounts_as_root() {
  if (const int error = mount_detached("sysfs")) return {error, "mount sysfs"};
  UniqueFd tree;
  if (const int error = mount_detached("tmpfs", &tree)) return {error, "mount tmpfs"};
  const UniqueFd directory(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return {errno, "open a tmpfs"};
  const int set = ::fsetxattr(directory.get(), "trusted.cbuild", "", 0, 0);
  if (set != 0 && errno == EPERM) return {errno, "set a trusted attribute"};
  return try_mounts();
}

Outcome try_namespaces_for(Outcome (*mounts)()) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return {errno, "unshare namespaces"};
  return in_child(mounts);
}

Outcome try_as_root() { return try_namespaces_for(try_mounts_as_root); }
Outcome try_namespaces() { return try_namespaces_for(try_mounts); }

bool write_file(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

Outcome try_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return {errno, "unshare user namespace"};
  write_file("/proc/self/setgroups", "deny");
  if (!write_file("/proc/self/uid_map", cat("0 ", uid, " 1\n"))) return {errno, "map own uid"};
  if (!write_file("/proc/self/gid_map", cat("0 ", gid, " 1\n"))) return {errno, "map own gid"};
  return try_namespaces();
}

Outcome try_chroot() {
  if (::chroot("/") != 0) return {errno, "chroot"};
  return {};
}

/// As in_child(), in the builder itself: a limit of this process says nothing about what the machine can do.
Outcome try_mode(Outcome (*trial)()) {
  const Outcome outcome = in_child(trial);
  if (outcome.error == EAGAIN || outcome.error == EMFILE || outcome.error == ENFILE || outcome.error == ENOMEM)
    throw Error(ErrorCode::unsupported, cat(outcome.what, ": ", std::strerror(outcome.error)))
        .with_errno(outcome.error);
  return outcome;
}

std::string remedy_for(Mode mode, const Outcome& outcome) {
  switch (mode) {
    case Mode::root:
      return "run as root with CAP_SYS_ADMIN (docker: --privileged)";
    case Mode::user_namespace:
      if (outcome.no_proc)
        return "show all of /proc (docker: --security-opt systempaths=unconfined, podman: --security-opt unmask=ALL, "
               "Kubernetes: procMount: Unmasked)";
      return user_namespace_advice(outcome.error);
    case Mode::masked_proc:
    case Mode::chroot:
    case Mode::none:
      break;
  }
  return {};
}

/// The trials of one probe, from the strongest mode down.
class Ladder {
 public:
  /// True if the mode works; the ladder ends there.
  bool accept(Mode mode, const Outcome& outcome) {
    if (!outcome.good()) {
      result_.refused.push_back(
          {mode, cat(outcome.what, ": ", std::strerror(outcome.error)), remedy_for(mode, outcome)});
      return false;
    }
    return take(mode, outcome);
  }
  bool take(Mode mode, const Outcome& outcome) {
    result_.mode = mode;
    if (outcome.no_hostname) result_.lacks.emplace_back("host name");
    return true;
  }
  ProbeResult end() && { return std::move(result_); }

 private:
  ProbeResult result_;
};

void climb(Ladder& ladder, bool in_user_namespace) {
  const bool is_root = ::geteuid() == 0 && !in_user_namespace;
  bool privileged = in_user_namespace;
  if (is_root) {
    if (ladder.accept(Mode::root, try_mode(try_as_root))) return;
    // Somebody else may have made the user namespace that this process is the root of.
    const Outcome in_place = try_mode(try_namespaces);
    privileged = in_place.error == 0 || in_place.no_proc;
  }
  const Outcome outcome = try_mode(privileged ? try_namespaces : try_user_namespace);
  if (ladder.accept(Mode::user_namespace, outcome)) return;
  if (outcome.no_proc)
    ladder.take(Mode::masked_proc, outcome);
  else if (is_root)
    ladder.accept(Mode::chroot, try_mode(try_chroot));
}

/// By mount(2), which every kernel has.
Outcome try_overlay(int directory, bool user_xattr) {
  if (::fchdir(directory) != 0) return {errno, "enter a directory"};
  for (const char* name : {"lower", "upper", "work", "merged"})
    if (::mkdir(name, 0755) != 0) return {errno, "make a directory"};
  if (::unshare(CLONE_NEWNS) != 0) return {errno, "unshare mount namespace"};
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {errno, "change mount propagation"};
  const char* options = user_xattr ? "lowerdir=lower,upperdir=upper,workdir=work,userxattr"
                                   : "lowerdir=lower,upperdir=upper,workdir=work";
  if (::mount("overlay", "merged", "overlay", 0, options) != 0) return {errno, "mount an overlay"};
  return {};
}

}  // namespace

bool can_mount_overlay(int directory, bool user_xattr) {
  return in_child([&] { return try_overlay(directory, user_xattr); }).good();
}

bool may_mount() { return has_capability(CAP_SYS_ADMIN); }

std::string ProbeResult::why() const {
  std::string text;
  for (const Refusal& refusal : refused)
    text += cat(text.empty() ? "" : "; ", to_string(refusal.mode), ": ", refusal.what);
  return text;
}

ProbeResult probe(bool in_user_namespace) {
  Ladder ladder;
  climb(ladder, in_user_namespace);
  return std::move(ladder).end();
}

}  // namespace cbuild::sandbox
