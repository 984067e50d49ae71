// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/pattern/path_pattern.h"
#include "base/side/side_metadata.h"
#include "base/sys.h"

namespace cbuild::cache {

class LayerTree;

/// The merged view of a stack of overlay layers, or of one plain directory, read without a mount. Directories are
/// walked by descriptor; symlinks resolve inside the root. Immutable trees only (or a local context, which may change
/// under us: every use takes the file that it opened). A layer may be a table without a tree (LayerTree): then only
/// functions that open files need the tree. Thread-safe.
class TreeView {
 public:
  /// `layers`, each with its side metadata: topmost first; none is an empty root. With `overlay` false there is one
  /// directory and no whiteout rule. `user_xattr`: opaque directories are marked by user.overlay.opaque, as the mount
  /// of such a store reads it.
  TreeView(std::vector<UniqueFd> layers, bool overlay, bool user_xattr = false);
  /// One plain directory; `dirfd` is borrowed.
  static TreeView of_directory(int dirfd, std::shared_ptr<const SideMetadata> side = nullptr);
  /// An overlay of layers that other views share.
  static TreeView of_shared(std::vector<std::shared_ptr<const LayerTree>> layers, bool user_xattr);
  ~TreeView();
  TreeView(TreeView&&) noexcept;
  TreeView& operator=(TreeView&&) noexcept;

  struct Entry {
    std::string name;  ///< last part
    struct stat st {};
    std::size_t layer = 0;  ///< which directory holds it
  };
  /// lstat of a clean relative path whose parents are real directories ("" is the root); no symlink is
  /// followed.
  std::optional<Entry> lookup(const std::string& path) const;
  /// Follows symlinks in all parts (the last one too if `follow_last`) inside the root: the clean path of the
  /// real thing. nullopt if something on the way is missing; Error{input} for loops.
  std::optional<std::string> resolve(const std::string& path, bool follow_last = true) const;
  /// As resolve, but missing last parts are kept as written: where a new file of that name would come to lie.
  std::string resolve_for_create(const std::string& path) const;
  /// Merged, sorted by name.
  std::vector<Entry> list(const std::string& directory) const;
  /// Opens the entry that lookup() found, without following a symlink.
  UniqueFd open(const std::string& path, int flags) const;
  /// Brings files of one layer (Entry::layer), so that open_directory() of theirs need not; of other files it may then
  /// know nothing.
  void bring(std::size_t layer, const std::vector<std::string>& files) const;
  /// The directory `path` of one layer (Entry::layer), no symlink followed. Throws Error{not_found}.
  UniqueFd open_directory(std::size_t layer, const std::string& path) const;
  std::string read_link(const std::string& path) const;
  /// Overlay's own are left out.
  std::vector<sys::Xattr> xattrs(const std::string& path) const;
  /// Side metadata of the entry that lookup() finds; null if it has none. Lives as long as the view.
  const SideEntry* side(const std::string& path) const;
  /// Whether any layer has side metadata.
  bool has_side() const;
  /// The digest of a regular file's bytes if its layer knows it without reading them.
  std::optional<Digest> content(const std::string& path) const;
  /// A small regular file, symlinks followed in-root; nullopt if missing or no regular file. Error{input}
  /// over the limit.
  std::optional<std::string> read_file(const std::string& path, std::size_t limit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::cache
