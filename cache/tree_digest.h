// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/path_pattern.h"
#include "cache/store.h"
#include "cache/tree.h"

namespace cbuild::cache {

/// Parts what --parents leaves out of a path from what it keeps.
inline constexpr std::string_view kPivot = "/./";

/// What of a tree enters a digest (solver::Selector without the solver's name).
struct Selection {
  std::vector<std::string> paths;     ///< cleaned, relative; wildcards as Go's filepath.Match on the whole path
  std::vector<std::string> excludes;  ///< relative to each selected directory
  bool ignore_mode = false, ignore_owner = false;
  /// The selected path itself counts. A wildcard before the pivot "/./" is one as in every source; behind it, or where
  /// no pivot is, "**" is allowed.
  bool parents = false;
  bool required = true;  ///< a path without wildcard must exist: else Error{not_found} naming it
  bool literal = false;  ///< no path is a wildcard, whatever characters it has; not with `parents`

  bool operator==(const Selection&) const = default;
};

/// One thing a selection picked: for copying exactly what was hashed.
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
std::vector<Selected> select(const TreeView& tree, const Selection& selection, const PathPatternList& ignore);

/// Content digest of a selection: path, type, permission bits, owner, link target, security xattrs and
/// user.*, content; not times, not the name of the selected thing itself where a plain path picks it
/// (reference: contenthash). `parts` gets a line for each selected top-level thing (at most 64; then larger
/// directories by child).
Digest digest_tree(const TreeView& tree, const Selection& selection, const PathPatternList& ignore,
                   std::vector<KeyPart>* parts = nullptr);

/// The same for a directory of this machine that is read in place, with file digests remembered by (device,
/// inode, size, mtime, ctime) in `store`: warm it is only stat calls, done in parallel. Owner counts as 0:0.
/// A file that was changed within the clock's granularity of being read is not remembered.
class LocalTree {
 public:
  LocalTree(Store& store, std::string path, std::vector<std::string> ignore);
  ~LocalTree();
  LocalTree(LocalTree&&) noexcept;

  const TreeView& view() const;
  const PathPatternList& ignore() const;
  Digest digest(const Selection& selection, std::vector<KeyPart>* parts = nullptr);
  /// Writes what was learnt back to the store; call once at the end. Errors are dropped: it is only a memo.
  void save() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::cache
