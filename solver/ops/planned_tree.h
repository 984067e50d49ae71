// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sys.h"
#include "cache/content/stat_table.h"
#include "cache/content/tree.h"

namespace cbuild::solver::ops {

/// Owner of new entries.
struct Ownership {
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const Ownership&) const = default;
};

/// Whether a copy leaves it out: overlayfs's own, under any prefix.
bool belongs_to_overlay(const sys::Xattr& xattr);

/// Where the content of copied files lies: a directory in one of the layers of a tree. The tree is borrowed.
struct SourceDirectory {
  const cache::TreeView* tree = nullptr;
  std::size_t layer = 0;
  std::string path;
};

/// One entry of a tree that is to be made.
struct PlannedNode {
  mode_t mode = S_IFDIR | 0755;  ///< type and permission bits
  Ownership owner;
  struct timespec mtime {};
  dev_t device = 0;                               ///< 0 on a character device: a whiteout (base/whiteout.h)
  std::string text;                               ///< target of a symlink; content of a file that has no source
  std::vector<sys::Xattr> xattrs;                 ///< of a file with a source those that its source lacks on disk
  std::shared_ptr<const SourceDirectory> source;  ///< of a file
  std::string source_name;                        ///< its name there
  std::optional<cache::StatId> source_id;         ///< by which the source is known again, if it can be
  std::uint64_t link_group = 0;                   ///< files of one group, other than 0, are hard links of each other
  std::map<std::string, PlannedNode> children;    ///< of a directory
};

/// The changes that file actions make to a root: a read-only base below, the plan above it. Nothing is on disk until it
/// is written (write_tree.h) or, if nothing is removed, packed (planned_walk.h). A directory of the base on the way is
/// adopted as a directory with its metadata, so that the plan alone is the layer. Overlay rules are kept: a planned
/// name hides the same name below, except two directories, which merge.
class PlannedTree {
 public:
  /// `base` may be null for an empty root; it is borrowed.
  explicit PlannedTree(const cache::TreeView* base) : base_(base) {}

  enum class Kind { missing, directory, symlink, other };
  /// The kind of the entry that the merged view has at a clean relative path, no symlink followed.
  Kind kind(const std::string& path) const;
  /// The names in a directory of the merged view, sorted.
  std::vector<std::string> names(const std::string& directory) const;
  struct Look {
    mode_t mode = 0;
    Ownership owner;
  };
  /// How the regular file at a path looks; nullopt if there is none.
  std::optional<Look> file_look(const std::string& path) const;
  /// Follows symlinks in every part, the last one too; missing last parts stay as they are. "" is the root.
  std::string resolve(const std::string& path) const;

  /// mkdir -p of a resolved path. Missing parts get `mode`, `owner`, and `mtime_ns` (0 where it is not given), existing
  /// ones are adopted unchanged. Throws Error{input} when a part is not a directory.
  void make_dirs(const std::string& path, mode_t mode, Ownership owner, std::optional<std::int64_t> mtime_ns);
  /// The directory at a path that make_dirs() made. Valid until a name above it is cleared.
  PlannedNode& directory(const std::string& path);
  /// Sets the time of a directory, the root's too.
  void set_dir_mtime(const std::string& path, struct timespec mtime);
  /// Makes `path`'s name free for a new non-directory. Throws Error{input} if the merged view has a directory there.
  void clear_for_file(const std::string& path);
  /// Makes `path`'s name free, whatever was planned there.
  void clear(const std::string& path);
  /// An empty directory in place of any other kind of entry in the merged view; its parent is planned.
  void replace_by_directory(const std::string& path);
  /// rm -r of a name whose parent may be in the base only: it is gone from the merged view. Not the root.
  void remove(const std::string& path);
  /// A new entry that is not a directory, in the place of a planned one if there is one; its parent is planned.
  void add(const std::string& path, PlannedNode node);
  std::uint64_t new_link_group() { return ++link_groups_; }

  const PlannedNode& root() const { return root_; }
  /// Whether something of the base was removed: the plan has whiteouts.
  bool removes() const { return removes_; }
  /// Whether the root was given a time.
  bool sets_root_mtime() const { return sets_root_mtime_; }
  /// Something that sources borrow from, to live as long as the plan.
  void keep(std::shared_ptr<const void> thing) { kept_.push_back(std::move(thing)); }

 private:
  struct Found {
    const PlannedNode* node = nullptr;
    bool hidden = false;  ///< something planned on the way is not a directory
  };
  Found find(const std::string& path) const;
  bool make_dir_entry(const std::string& path);
  void hide_children(const std::string& path);
  void adopt(const std::string& path);

  const cache::TreeView* base_;
  PlannedNode root_;
  bool sets_root_mtime_ = false, removes_ = false;
  std::uint64_t link_groups_ = 0;
  std::string last_path_;  ///< of the directory used last
  PlannedNode* last_ = nullptr;
  std::vector<std::shared_ptr<const void>> kept_;
};

}  // namespace cbuild::solver::ops
