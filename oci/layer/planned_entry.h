// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/sys.h"
#include "oci/layer/tar_writer.h"
#include "oci/layer/tree_walk.h"

namespace cbuild::oci::layer {

/// One entry of a tree that is not on disk, as its layer will hold it.
struct PlannedEntry {
  TarEntry header;               ///< of a file with a directory, size and xattrs are read with its content
  std::uint64_t link_group = 0;  ///< files of one group, other than 0, are hard links of each other
  SharedFd file;                 ///< holds a file's content in one piece, header.size from file_offset on; or null:
  std::uint64_t file_offset = 0;
  SharedFd directory;       ///< where a file's content lies; null: it is `content`
  std::string source_name;  ///< its name there
  std::string content;
};

/// Gives the entries of such a tree: parents before children, the names of each directory in byte order, the root
/// itself left out. Used by one thread.
class PlannedEntries {
 public:
  virtual ~PlannedEntries() = default;
  /// False at the end.
  virtual bool next(PlannedEntry& entry) = 0;
};

/// Of a directory's xattrs, those that a layer carries, sorted by name.
std::vector<sys::Xattr> layer_xattrs(std::vector<sys::Xattr> xattrs);

}  // namespace cbuild::oci::layer
