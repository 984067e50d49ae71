// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/side/side_metadata.h"
#include "base/sys.h"

namespace cbuild::cache {

/// The names in one directory, as a set that may answer yes for a name that is not there and never no for one that is.
class NameSet {
 public:
  explicit NameSet(const std::vector<std::string>& names);
  static std::uint64_t hash(std::string_view name);
  bool may_hold(std::uint64_t hash) const;

 private:
  std::vector<std::uint64_t> hashes_;  // sorted
};

/// One immutable tree that takes part in views, as they read it: a directory on disk, or a table of its entries. Paths
/// are clean and relative, "" is the root; the named entry itself is looked at, no symlink is followed, and its parents
/// are real directories of this tree unless a function says otherwise. Thread-safe; shared by all views.
class LayerTree {
 public:
  struct Child {
    std::string name;
    struct stat st {};
  };
  using Wanted = std::function<bool(const std::string& name)>;

  LayerTree() = default;
  LayerTree(const LayerTree&) = delete;
  LayerTree& operator=(const LayerTree&) = delete;
  virtual ~LayerTree() = default;

  /// Metadata; nullopt if there is nothing. Inode and device tell hard links apart from other files, no more.
  virtual std::optional<struct stat> lookup(const std::string& path) const = 0;
  /// Whether a directory hides the content of the trees below; on disk an xattr of that name says so.
  virtual bool is_opaque(const std::string& path, const char* xattr) const = 0;
  /// The entries of a directory, sorted by name, as far as they are wanted; nullopt if it is not a directory of this
  /// tree.
  virtual std::optional<std::vector<Child>> list(const std::string& path, const Wanted& wanted) const = 0;
  virtual std::string read_link(const std::string& path) const = 0;
  virtual std::vector<sys::Xattr> xattrs(const std::string& path) const = 0;
  /// The digest of a file's bytes where it is known without reading them.
  virtual std::optional<Digest> content(const std::string& path) const = 0;
  /// A descriptor of the real thing, which may have to be brought to disk for it. nullopt if there is nothing, or a
  /// symlink on the way.
  virtual std::optional<UniqueFd> open(const std::string& path, int flags) const = 0;

  /// Says which files will be opened next, by their directories: a tree that is not on disk brings them, perhaps
  /// without the rest. Throws what that throws.
  virtual void bring(const std::vector<std::string>&) const {}
  /// Metadata that the real things do not have; null if they have everything.
  virtual const SideMetadata* side() const { return nullptr; }

  /// The names in a directory, read on first use; lives as long as this object.
  const NameSet& names(const std::string& path) const;

 private:
  const NameSet& read_names(const std::string& path) const;
  virtual std::vector<std::string> list_names(const std::string& path) const = 0;

  mutable std::atomic<const NameSet*> root_names_{nullptr};  ///< the entry of "": asked by every view of a deep stack
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::unique_ptr<const NameSet>> names_;
};

}  // namespace cbuild::cache
