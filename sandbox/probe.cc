// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "sandbox/kernel.h"
#include "sandbox/runner.h"

namespace cbuild::sandbox {
namespace {

/// How far a trial came. `what` is a literal of this program, valid on both sides of a fork.
struct Outcome {
  int error = 0;
  const char* what = "";
  bool no_proc = false;  ///< all but an own /proc

  bool good() const { return error == 0 && !no_proc; }
};

/// Runs a trial in a child, so that nothing of it stays.
Outcome in_child(const std::function<Outcome()>& trial) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno(errno, "fork");
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

int mount_detached(const char* type) {
  const UniqueFd fs(kernel::fs_open(type));
  if (!fs) return errno;
  const int created = kernel::fs_create(fs.get());
  if (created < 0) return -created;
  const UniqueFd tree(kernel::fs_mount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  return tree ? 0 : errno;
}

/// As init of a new pid namespace, with a mount namespace of its own.
Outcome try_mounts() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {errno, "change mount propagation"};
  if (const int error = mount_detached("tmpfs")) return {error, "mount tmpfs"};
  if (const UniqueFd overlay(kernel::fs_open("overlay")); !overlay) return {ENODEV, "find the overlay file system"};
  if (const UniqueFd tree(kernel::clone_tree(AT_FDCWD, "/proc", true)); !tree) return {errno, "clone /proc"};
  if (const int error = mount_detached("proc")) return {error, "mount proc", true};
  return {};
}

Outcome try_namespaces() {
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return {errno, "unshare namespaces"};
  return in_child(try_mounts);
}

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

void passed_over(std::string& why, Mode mode, const Outcome& outcome) {
  why += cat(why.empty() ? "" : "; ", to_string(mode), ": ", outcome.what, ": ", std::strerror(outcome.error));
}

}  // namespace

ProbeResult probe(bool in_user_namespace) {
  std::string why;
  const bool is_root = ::geteuid() == 0;
  if (is_root && !in_user_namespace) {
    const Outcome outcome = in_child(try_namespaces);
    if (outcome.good()) return {Mode::root, why};
    passed_over(why, Mode::root, outcome);
  }
  const Outcome outcome = in_child(in_user_namespace ? try_namespaces : try_user_namespace);
  if (outcome.good()) return {Mode::user_namespace, why};
  passed_over(why, Mode::user_namespace, outcome);
  if (outcome.no_proc) return {Mode::masked_proc, why};
  if (is_root && !in_user_namespace) {
    const Outcome changed = in_child(try_chroot);
    if (changed.good()) return {Mode::chroot, why};
    passed_over(why, Mode::chroot, changed);
  }
  return {Mode::none, why};
}

}  // namespace cbuild::sandbox
