// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/sys.h"
#include "cache/tree.h"

namespace cbuild::solver::ops {

/// Owner, mode and time to give to what is created; an empty optional keeps what the source or the default says.
struct Ownership {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The root that a file op changes: a read-only base below, a directory of changes (an overlay upper) above. All writes
/// go to the upper directory by descriptor; what the base holds on the way is copied up as a directory with its
/// metadata, so that the upper alone is the layer. Overlay rules are kept: a name in the upper hides the same name
/// below, except two directories, which merge.
class DestTree {
 public:
  /// `base` may be null for an empty root. Descriptors are borrowed.
  DestTree(const cache::TreeView* base, int upper_fd);
  /// Restores the times of directories that were copied up or given a time; call once after the last change.
  void finish();

  enum class Kind { missing, directory, symlink, other };
  /// What the merged view has at a clean relative path, no symlink followed.
  Kind kind(const std::string& path) const;
  /// Follows symlinks in every part, the last one too; missing last parts stay as they are. "" is the root.
  std::string resolve(const std::string& path) const;

  /// mkdir -p of a resolved path. Missing parts get `mode`, `owner`, and `mtime_ns` (0 where it is not given), existing
  /// ones are copied up unchanged. Throws Error{input} when a part is no directory.
  void make_dirs(const std::string& path, mode_t mode, Ownership owner, std::optional<std::int64_t> mtime_ns);
  /// The upper's directory at a path that make_dirs() made. Cached; valid until the next call.
  int dir(const std::string& path);
  /// Makes `path`'s name free in the upper for a new non-directory. Throws Error{input} if the merged view has a
  /// directory there.
  void clear_for_file(const std::string& path);
  /// Makes `path`'s name free in the upper, whatever was there.
  void clear(const std::string& path);
  /// An empty directory in the place of anything in the merged view that is none; its parent exists in the upper.
  void replace_by_directory(const std::string& path);
  /// A directory entry for `path` in the upper: true if the merged view had no directory there. Throws Error{input}
  /// when it has something else there.
  bool make_dir_entry(const std::string& path);
  /// A new, empty regular file whose parent exists in the upper, opened for writing. Thread-safe.
  UniqueFd create_file(const std::string& path) const;
  /// A hard link between two paths of the upper.
  void link(const std::string& existing, const std::string& path);
  /// Sets these at finish(), so that later entries do not disturb the time.
  void set_dir_mtime(const std::string& path, struct timespec mtime);

 private:
  void copy_up_dir(const std::string& path, const cache::TreeView::Entry& entry);
  int open_parent(const std::string& path) { return dir(dir_of(path)); }
  static std::string dir_of(const std::string& path);

  const cache::TreeView* base_;
  int upper_;
  std::string cached_path_;
  UniqueFd cached_dir_;
  std::map<std::string, struct timespec> dir_times_;
};

}  // namespace cbuild::solver::ops
