// SPDX-License-Identifier: Apache-2.0
#include "sandbox/mount_template.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/sys.h"
#include "sandbox/kernel.h"

namespace cbuild::sandbox {
namespace {

using kernel::call;

struct Result {
  int error = 0;
  const char* what = "";
};

/// The content of the template next to its tmpfs.
struct Sources {
  int proc = -1, sys = -1, null = -1;
};

int clone_null() {
  const int fd = static_cast<int>(call(SYS_openat, AT_FDCWD, "/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW));
  if (fd < 0) return fd;
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3)) return -ENODEV;
  const int tree = kernel::clone_tree(fd, "", false);
  call(SYS_close, fd);
  if (tree < 0) return tree;
  const int error = kernel::set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false);
  return error < 0 ? error : tree;
}

int attach_in(int root, const char* name, int tree) {
  const int target = static_cast<int>(call(SYS_openat, root, name, O_PATH | O_CLOEXEC));
  if (target < 0) return target;
  const int error = kernel::attach(tree, target);
  call(SYS_close, target);
  return error;
}

int make_tmpfs() {
  const int fs = kernel::fs_open("tmpfs");
  if (fs < 0) return fs;
  kernel::fs_set(fs, "mode", "0755");
  const int error = kernel::fs_create(fs);
  const int tree = error < 0 ? error : kernel::fs_mount(fs, MOUNT_ATTR_NOSUID);
  call(SYS_close, fs);
  return tree;
}

/// Fills the tmpfs once it is attached.
Result furnish(int root, const Sources& sources) {
  for (const char* name : {"root", "scratch", "empty", "proc", "sys"})
    if (const long error = call(SYS_mkdirat, root, name, 0755); error < 0) return {static_cast<int>(error), "mkdir"};
  if (const long error = call(SYS_mknodat, root, "null", S_IFREG | 0600, 0); error < 0)
    return {static_cast<int>(error), "mknod"};
  if (const int error = attach_in(root, "null", sources.null); error < 0) return {error, "bind /dev/null"};
  // A user namespace may mount proc and sysfs only where it can see full ones.
  if (const int error = attach_in(root, "proc", sources.proc); error < 0) return {error, "bind /proc"};
  if (sources.sys >= 0)
    if (const int error = attach_in(root, "sys", sources.sys); error < 0) return {error, "bind /sys"};
  const UniqueFd empty(kernel::clone_tree(root, "empty", false));
  if (!empty) return {empty.get(), "bind empty directory"};
  int error = kernel::set_attributes(
      empty.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, false);
  if (error >= 0) error = attach_in(root, "empty", empty.get());
  return {error < 0 ? error : 0, "bind empty directory"};
}

/// Run in the new namespace.
Result build() {
  const long made_private =
      call(SYS_mount, "none", "/", nullptr, static_cast<unsigned long>(MS_REC | MS_PRIVATE), nullptr);
  if (made_private < 0) return {static_cast<int>(made_private), "make mounts private"};
  const UniqueFd proc(kernel::clone_tree(AT_FDCWD, "/proc", true)), sys(kernel::clone_tree(AT_FDCWD, "/sys", true));
  const UniqueFd null(clone_null()), root(make_tmpfs());
  if (!proc) return {proc.get(), "clone /proc"};
  if (!null) return {null.get(), "clone /dev/null"};
  if (!root) return {root.get(), "mount tmpfs"};
  // Any mount point does for the moment; /proc is one for sure.
  if (const int error = attach_in(AT_FDCWD, "/proc", root.get()); error < 0) return {error, "attach tmpfs"};
  if (const Result furnished = furnish(root.get(), {proc.get(), sys.get(), null.get()}); furnished.error < 0)
    return furnished;
  return {kernel::enter_root(root.get()), "enter the root of the mount template"};
}

}  // namespace

MountTemplate::MountTemplate() {
  const UniqueFd home = sys::open_at(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY),
                 root = sys::open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
  if (::unshare(CLONE_NEWNS) != 0) throw_errno(errno, "unshare mount namespace");
  const Result result = build();
  // In there, /proc is still the machine's.
  if (result.error >= 0) namespace_ = sys::open_at(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY);
  if (::setns(home.get(), CLONE_NEWNS) != 0) throw_errno(errno, "return to the mount namespace");
  // setns leads to the namespace's root, which need not be the "/" of this process.
  if (::fchdir(root.get()) != 0 || ::chroot(".") != 0) throw_errno(errno, "return to the root directory");
  if (result.error < 0) throw_errno(-result.error, result.what);
}

}  // namespace cbuild::sandbox
