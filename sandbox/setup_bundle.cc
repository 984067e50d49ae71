// SPDX-License-Identifier: Apache-2.0
// The steps that prepare a bundle. An OCI runtime takes names, not descriptors, so the trees are attached at names that
// only this process's mount namespace has them at; they are gone with it. The runtime is the first process of a pid
// namespace, so that whoever kills it kills the container, too.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "sandbox/setup_attach.h"
#include "sandbox/setup_steps.h"

namespace cbuild::sandbox::setup {

int OperationRunner::attach_by_name(int tree, const char* path) {
  struct stat info {};
  if (::fstat(tree, &info) != 0) return -EBADF;
  const long made = S_ISDIR(info.st_mode) ? kernel::call(SYS_mkdirat, AT_FDCWD, path, 0700)
                                          : kernel::call(SYS_mknodat, AT_FDCWD, path, S_IFREG | 0600, 0);
  if (made < 0 && made != -EEXIST) return static_cast<int>(made);
  const int target = static_cast<int>(kernel::call(SYS_openat, AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  return target < 0 ? target : close_with(target, kernel::attach(tree, target));
}

int OperationRunner::operator()(const PrivateMounts&) {
  long error = kernel::call(SYS_unshare, CLONE_NEWNS);
  constexpr unsigned long kPrivate = MS_REC | MS_PRIVATE, kQuiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (error >= 0) error = kernel::call(SYS_mount, "none", "/", nullptr, kPrivate, nullptr);
  if (error >= 0) error = kernel::call(SYS_mount, "proc", "/proc", "proc", kQuiet, nullptr);
  return static_cast<int>(error);
}

int OperationRunner::operator()(const AttachByName& operation) {
  const int tree = child_.slots[operation.slot];
  return close_with(tree, attach_by_name(tree, operation.path.c_str()));
}

int OperationRunner::operator()(const AttachContentByName& operation) {
  const int tree = content_tree(operation.file, 0);
  return tree < 0 ? tree : close_with(tree, attach_by_name(tree, operation.path.c_str()));
}

}  // namespace cbuild::sandbox::setup
