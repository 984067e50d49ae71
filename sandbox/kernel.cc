// SPDX-License-Identifier: Apache-2.0
#include "sandbox/kernel.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <csignal>
#include <cstring>

namespace cbuild::sandbox::kernel {
namespace {

int open_resolved(int dir, const char* path, std::uint64_t flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const long fd = call(SYS_openat2, dir, path, &how, sizeof how);
    if (fd != -EAGAIN && fd != -EINTR) return static_cast<int>(fd);
  }
}

}  // namespace

long clone_process(std::uint64_t namespaces, int cgroup_fd) {
  clone_args args{};
  args.flags = namespaces | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup_fd >= 0 ? static_cast<std::uint64_t>(cgroup_fd) : 0;
  const long pid = call(SYS_clone3, &args, sizeof args);
  if (pid != -ENOSYS) return pid;
#if defined(__s390x__)
  const long child = call(SYS_clone, 0UL, namespaces | SIGCHLD, 0UL, 0UL, 0UL);
#else
  const long child = call(SYS_clone, namespaces | SIGCHLD, 0UL, 0UL, 0UL, 0UL);
#endif
  if (child != 0 || cgroup_fd < 0) return child;
  const int procs = static_cast<int>(call(SYS_openat, cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC));
  if (procs < 0 || write_all(procs, "0", 1) < 0) call(SYS_exit_group, 125);
  call(SYS_close, procs);
  return 0;
}

int open_in_root(int root, const char* path, std::uint64_t flags) {
  return open_resolved(root, path, flags, RESOLVE_IN_ROOT);
}

int open_beneath(int dir, const char* path, std::uint64_t flags) {
  return open_resolved(dir, path, flags, RESOLVE_BENEATH);
}

int clone_tree(int dir, const char* path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | (*path == '\0' ? AT_EMPTY_PATH : 0) |
                         (recursive ? AT_RECURSIVE : 0);
  return static_cast<int>(call(SYS_open_tree, dir, path, flags));
}

int set_attributes(int tree, std::uint64_t attributes, bool recursive) {
  struct mount_attr attr {};
  attr.attr_set = attributes;
  attr.propagation = MS_PRIVATE;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  return static_cast<int>(call(SYS_mount_setattr, tree, "", flags, &attr, sizeof attr));
}

int attach(int tree, int target) {
  constexpr unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return static_cast<int>(call(SYS_move_mount, tree, "", target, "", flags));
}

int enter_root(int root) {
  long error = call(SYS_fchdir, root);
  if (error < 0) return static_cast<int>(error);
  error = call(SYS_pivot_root, ".", ".");
  if (error >= 0) {
    // The old root now lies on top of the new one, and "." is it.
    error = call(SYS_umount2, ".", MNT_DETACH);
  } else if (error == -EPERM || error == -EINVAL) {
    // The old tree lies below the new one, where no path leads: ".." at "/" comes back to the mount on top of it.
    error = call(SYS_mount, ".", "/", nullptr, static_cast<unsigned long>(MS_MOVE), nullptr);
    if (error >= 0) error = call(SYS_chroot, ".");
  }
  return static_cast<int>(error < 0 ? error : call(SYS_chdir, "/"));
}

int fs_open(const char* type) { return static_cast<int>(call(SYS_fsopen, type, 1 /* FSOPEN_CLOEXEC */)); }

int fs_set(int fs, const char* key, const char* value) {
  return static_cast<int>(call(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0));
}

int fs_set_fd(int fs, const char* key, int value) {
  return static_cast<int>(call(SYS_fsconfig, fs, FSCONFIG_SET_FD, key, nullptr, value));
}

int fs_flag(int fs, const char* key) {
  return static_cast<int>(call(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, nullptr, 0));
}

int fs_create(int fs) { return static_cast<int>(call(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0)); }

int fs_mount(int fs, std::uint64_t attributes) {
  return static_cast<int>(call(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attributes));
}

void fs_message(int fs, char* buffer, std::size_t size) {
  buffer[0] = '\0';
  // One read gives one message; the last error is the one that explains the failure.
  for (;;) {
    char line[256];
    const long got = call(SYS_read, fs, line, sizeof line);
    if (got <= 0) return;
    if (line[0] != 'e' || got < 3) continue;
    const std::size_t length =
        static_cast<std::size_t>(got) - 2 < size - 1 ? static_cast<std::size_t>(got) - 2 : size - 1;
    std::memcpy(buffer, line + 2, length);
    buffer[length] = '\0';
    while (*buffer != '\0' && buffer[std::strlen(buffer) - 1] == '\n') buffer[std::strlen(buffer) - 1] = '\0';
  }
}

int write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const long wrote = call(SYS_write, fd, data, size);
    if (wrote == -EINTR) continue;
    if (wrote < 0) return static_cast<int>(wrote);
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return 0;
}

}  // namespace cbuild::sandbox::kernel
