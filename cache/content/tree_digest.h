// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/pattern/path_pattern.h"
#include "cache/content/tree.h"
#include "solver/graph/key_part.h"
#include "solver/graph/op.h"

namespace cbuild::cache {

/// Separates the part of a path that --parents leaves out from the part that it keeps.
inline constexpr std::string_view kPivot = "/./";

/// Which paths of a tree are read (Selector::kind is not looked at: a tree is always read by paths). A path is cleaned
/// and relative; wildcards are those of Go's filepath.Match on the whole path, with `parents` also "**" and "/./"
/// pivots. A required path without wildcard that does not exist is Error{not_found} naming it.
using solver::KeyPart;
using solver::Selector;

/// One entry of a selection, so that a copy takes exactly the hashed files.
struct Selected {
  std::string path;  ///< clean real path in the tree (symlinks of the argument followed)
  std::string as;    ///< name it was asked by
  bool wildcard = false;
  enum class Kind {
    plain,        ///< goes to the destination by the rules of every copy
    below_pivot,  ///< with --parents: keeps the part of `as` behind the pivot
    pivot_alone,  ///< a directory below which nothing matched: it makes the destination, its content does not count
  } kind = Kind::plain;
};
/// Expands a selection's paths in a tree, in order, each wildcard's matches sorted.
std::vector<Selected> select(const TreeView& tree, const Selector& selection, const PathPatternList& ignore);

/// Content digest of a selection: path, type, permission bits, owner, link target, security xattrs and
/// user.*, content; not times, not the name of the selected thing itself where a plain path picks it
/// (BuildKit: contenthash). `parts` gets a line for each selected top-level entry, at most 2,000; where there is
/// room, the largest directories are given by child.
Digest digest_tree(const TreeView& tree, const Selector& selection, const PathPatternList& ignore,
                   std::vector<KeyPart>* parts = nullptr);

/// The same for a directory of this machine that is read in place, with file digests remembered by (device,
/// inode, size, mtime, ctime) in a table of its own in the directory that `scans` gives a descriptor of (asked on first
/// use): warm it is only stat calls, done in parallel. Owner counts as 0:0. A file that was changed within the clock's
/// granularity of being read is not remembered.
class LocalTree {
 public:
  LocalTree(std::function<int()> scans, std::string path, std::vector<std::string> ignore);
  ~LocalTree();
  LocalTree(LocalTree&&) noexcept;

  const TreeView& view() const;
  const PathPatternList& ignore() const;
  Digest digest(const Selector& selection, std::vector<KeyPart>* parts = nullptr);
  /// Writes new digests to the table; call once at the end. Errors are dropped: it is only a memo.
  void save() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::cache
