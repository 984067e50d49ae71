// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>

/// System calls for code that runs between clone and exec: no allocation, no exception, no libc state. Every
/// function gives a result >= 0 or a negative errno. Descriptors are close-on-exec.
namespace cbuild::sandbox::kernel {

template <typename... Args>
long call(long number, Args... args) {
  const long result = ::syscall(number, args...);
  return result < 0 ? -errno : result;
}

/// A child, as fork() makes it, in new namespaces and, unless `cgroup_fd` is -1, in that cgroup v2 directory.
/// clone3(2), or clone(2) and a write to cgroup.procs where a seccomp filter hides that. Returns the child's
/// pid, or 0 in the child.
long clone_process(std::uint64_t namespaces, int cgroup_fd);

/// openat2(2) with `root` as "/": no symlink and no ".." leads out, magic links are refused. Retries EAGAIN.
int open_in_root(int root, const char* path, std::uint64_t flags);
/// The same for a relative path that must stay below `dir`.
int open_beneath(int dir, const char* path, std::uint64_t flags);

/// A copy of the mount at `dir`/`path` (an empty path: `dir` itself), attached nowhere.
int clone_tree(int dir, const char* path, bool recursive);
/// Sets mount attributes and makes the mount private, so that nothing mounted below it is ever seen
/// elsewhere.
int set_attributes(int tree, std::uint64_t attributes, bool recursive);
/// Attaches a detached mount, or moves an attached one, onto the file that `target` refers to.
int attach(int tree, int target);

/// Makes the attached mount `root` the "/" of this process and its mount namespace: by pivot_root(2), which leaves
/// nothing of the old tree, else (a seccomp filter, a root on an initramfs) by moving it over "/" and chroot(2).
int enter_root(int root);

/// A file system under construction: open, configure, create, then take it as a detached mount.
int fs_open(const char* type);
int fs_set(int fs, const char* key, const char* value);
int fs_set_fd(int fs, const char* key, int value);
int fs_flag(int fs, const char* key);
int fs_create(int fs);
int fs_mount(int fs, std::uint64_t attributes);
/// The kernel's message about the last failure ("e overlay: ..."); an empty string if nothing.
void fs_message(int fs, char* buffer, std::size_t size);

/// Writes all; -errno on failure.
int write_all(int fd, const char* data, std::size_t size);

}  // namespace cbuild::sandbox::kernel
