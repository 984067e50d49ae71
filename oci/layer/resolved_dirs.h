// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace cbuild::oci::layer {

/// An open directory of the target.
struct TargetDir {
  UniqueFd fd;
  std::uint64_t inode = 0;
  bool setgid = false;  ///< new entries in it take over its group
};
using SharedDir = std::shared_ptr<const TargetDir>;

/// Directories of a tree by name. Symlinks on the way are resolved as if the tree's root were "/", by the kernel
/// (openat2) or step by step, never by joining strings; nothing outside the tree is reached. The last few stay open.
class ResolvedDirs {
 public:
  struct Hooks {
    /// Called when a directory is not there, before it is looked for once more and made.
    std::function<void()> missing;
    /// Told about every directory made on the way: its parent and its name in it.
    std::function<void(const TargetDir& parent, const std::string& name, const TargetDir& made)> made;
  };

  /// `rootfd` is borrowed.
  ResolvedDirs(int rootfd, Hooks hooks) : rootfd_(rootfd), hooks_(std::move(hooks)) {}

  /// The directory `path`, clean and relative ("" is the root); null if there is none. Throws Error for other failures.
  SharedDir find(const std::string& path);
  /// As find(), but missing directories are made with mode 0755. Throws Error{corrupt} if something else is in the way.
  SharedDir make(const std::string& path);
  /// Puts a directory that was just opened into the cache.
  void remember(const std::string& path, SharedDir dir);
  /// To be called when a directory or a symlink has gone or has been replaced.
  void forget() { open_.clear(); }

 private:
  SharedDir cached(const std::string& path);
  SharedDir make_stepwise(const std::string& path);

  int rootfd_;
  Hooks hooks_;
  std::vector<std::pair<std::string, SharedDir>> open_;  ///< most recently used last
};

/// Takes ownership of an open directory.
SharedDir make_target_dir(UniqueFd fd);

/// "a/b/c" -> {"a/b", "c"}.
std::pair<std::string, std::string> split_path(std::string_view path);

}  // namespace cbuild::oci::layer
