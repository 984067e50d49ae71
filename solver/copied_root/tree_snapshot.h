// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/sys.h"
#include "cache/content/tree.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// What the entries of a directory tree looked like at one moment. Contents are not kept: a file whose inode, times,
/// size, mode and owner are the same is the same, because no process can set the time of an inode's last change.
class TreeSnapshot {
 public:
  /// Of everything below `root`. Returns when a change that follows must have a later time (a few milliseconds).
  /// `side`: of the tree; may be null.
  static TreeSnapshot take(int root, std::shared_ptr<const SideMetadata> side = nullptr);

  struct Entry {
    struct stat st {};
    std::int64_t birth_ns = 0;              ///< of a directory; 0 where the file system does not know
    std::vector<sys::Xattr> xattrs;         ///< of a directory
    bool touched = false;                   ///< see touch()
    std::map<std::string, Entry> children;  ///< of a directory
  };
  const Entry& root() const { return root_; }
  /// Says that the builder itself changes entries of the directory `path` from now on: only a difference of its
  /// metadata is the command's change.
  void touch(const std::string& path);
  /// Takes the entry at `path`, if it is known, and all below it to be as they are in `root` now.
  void refresh(int root, const std::string& path);

 private:
  Entry* find(const std::string& path);

  Entry root_;
  std::shared_ptr<const SideMetadata> side_;
};

/// Plans the changes of the directory `root` since the snapshot, which `now` is a view of (it has to live as long as
/// the plan), as the upper directory of an overlay holds them: changed entries with all directories on the way, a
/// character device 0:0 for each name that is gone, `opaque_xattr` on a directory that took the place of something.
/// Sockets are left out. Throws Error{input} for a device 0:0 that a command has made.
void plan_changes(const TreeSnapshot& before, int root, const cache::TreeView& now, const std::string& opaque_xattr,
                  PlannedTree& plan);

}  // namespace cbuild::solver::ops
