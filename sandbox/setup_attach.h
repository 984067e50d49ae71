// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>

#include "sandbox/kernel.h"
#include "sandbox/setup.h"

/// What several mount steps do with descriptors. Async-signal-safe.
namespace cbuild::sandbox::setup {

/// Closes `fd`; gives `result`.
inline int close_with(int fd, int result) {
  kernel::call(SYS_close, fd);
  return result;
}

/// A detached tmpfs; -errno on failure.
inline int new_tmpfs(const char* mode, Attributes attributes) {
  const int fs = kernel::fs_open("tmpfs");
  if (fs < 0) return fs;
  int result = kernel::fs_set(fs, "mode", mode);
  if (result >= 0) result = kernel::fs_create(fs);
  if (result >= 0) result = kernel::fs_mount(fs, attributes);
  return close_with(fs, result);
}

/// Makes the directory `name` in `dir` and attaches `tree` to it.
inline int make_and_attach(int dir, const char* name, int tree) {
  const long made = kernel::call(SYS_mkdirat, dir, name, 0755);
  if (made < 0) return static_cast<int>(made);
  const int target = static_cast<int>(kernel::call(SYS_openat, dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return target < 0 ? target : close_with(target, kernel::attach(tree, target));
}

}  // namespace cbuild::sandbox::setup
