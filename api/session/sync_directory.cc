// SPDX-License-Identifier: Apache-2.0
#include "api/session/sync_directory.h"

#include <fcntl.h>

#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kLockFile[] = "lock";

UniqueFd open_base(const std::string& path) {
  sys::mkdir_at(AT_FDCWD, path, 0700);
  return sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

UniqueFd open_child(int fd, const std::string& name, mode_t mode) {
  sys::mkdir_at(fd, name, mode);
  return sys::open_at(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

std::optional<SyncedDirectory> SyncedDirectory::try_lock(const std::string& path) {
  const UniqueFd base = open_base(path);
  auto lock = FileLock::try_lock(base.get(), kLockFile, FileLock::Mode::exclusive);
  if (!lock) return std::nullopt;
  return SyncedDirectory(std::move(*lock), base.get());
}

SyncedDirectory SyncedDirectory::lock(const std::string& path, const CancelSource* cancel) {
  const UniqueFd base = open_base(path);
  auto lock = FileLock::wait(base.get(), kLockFile, FileLock::Mode::exclusive,
                             [cancel] { return cancel != nullptr && cancel->cancelled(); });
  if (!lock) throw Error(ErrorCode::cancelled, cat("wait for ", path, ": cancelled"));
  return SyncedDirectory(std::move(*lock), base.get());
}

SyncedDirectory::SyncedDirectory(FileLock lock, int fd)
    : lock_(std::move(lock)), tree_(open_child(fd, "tree", 0755)), staging_(open_child(fd, "staging", 0700)) {
  tree_path_ = sys::readlink_at(AT_FDCWD, sys::fd_path(tree_.get()));
}

}  // namespace cbuild::api
