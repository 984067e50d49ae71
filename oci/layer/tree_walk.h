// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace cbuild::oci::layer {

using SharedFd = std::shared_ptr<const UniqueFd>;

/// One name found by a walk.
struct WalkEntry {
  std::string path;          ///< relative to the root of the walk
  std::size_t name_at = 0;   ///< where the last component begins
  unsigned char d_type = 0;  ///< DT_*, never DT_UNKNOWN
  SharedFd parent;
  SharedFd self;  ///< the open directory, for directories only

  const char* name() const { return path.c_str() + name_at; }
};

/// The names of one directory, packed, sorted by bytes.
class NameList {
 public:
  /// Reads the directory from its beginning. Throws Error.
  static NameList read(int dirfd);
  std::size_t size() const { return items_.size(); }
  std::string_view name(std::size_t index) const { return {bytes_.data() + items_[index].at, items_[index].size}; }
  unsigned char d_type(std::size_t index) const { return items_[index].d_type; }

 private:
  struct Item {
    std::uint32_t at;
    std::uint16_t size;
    unsigned char d_type;
  };
  void take(const char* records, std::size_t size);
  std::string bytes_;
  std::vector<Item> items_;
};

/// Walks a tree by descriptor, parents before children, the names of each directory in byte order: the order of Go's
/// filepath.Walk. Symlinks are not followed. The root itself is not yielded. Open descriptors are bounded whatever the
/// depth.
class TreeWalk {
 public:
  /// `rootfd` is borrowed.
  explicit TreeWalk(int rootfd);
  /// The next entry; false at the end. Throws Error naming the path, also for paths longer than PATH_MAX.
  bool next(WalkEntry& entry);

 private:
  struct Level {
    SharedFd dir;  ///< null when given up because of depth
    NameList names;
    std::size_t next = 0, path_size = 0;
  };
  void enter(SharedFd dir);
  const SharedFd& dir_of(Level& level);

  int rootfd_;
  std::string path_;
  std::vector<Level> levels_;
};

}  // namespace cbuild::oci::layer
