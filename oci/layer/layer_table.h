// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/sys.h"
#include "oci/layer/tar_writer.h"

/// The table of contents of one layer: the tree that unpack() would make of it on disk, as values.
namespace cbuild::oci::layer {

/// S_IFDIR and its like; a hard link counts as the file that it names.
mode_t type_bits(EntryType type);

/// A piece of a file's content and where it lies in the uncompressed archive. Bytes that no piece covers are a hole.
struct TableExtent {
  std::uint64_t file_offset = 0, archive_offset = 0, size = 0;  ///< in bytes

  bool operator==(const TableExtent&) const = default;
};

/// One file, directory, link or device; hard links are several names of one.
struct TableNode {
  EntryType type = EntryType::file;  ///< never EntryType::hardlink
  mode_t mode = 0;                   ///< permission bits incl. setuid, setgid, sticky
  std::uint32_t uid = 0, gid = 0;
  std::uint32_t names = 0;     ///< how many there are of it; 1 for directories, the root's 0
  std::uint64_t size = 0;      ///< of a file
  std::int64_t mtime_s = 0;    ///< 0 where the archive does not say it
  std::uint32_t mtime_ns = 0;  ///< nanoseconds within the second
  bool implied = false;        ///< a parent that the archive has no entry for
  bool opaque = false;         ///< a directory that hides the content of the layers below
  std::uint32_t device_major = 0, device_minor = 0;
  std::uint32_t first_child = 0, children = 0;  ///< of a directory: its part of LayerTable::names
  std::string link_target;
  std::vector<sys::Xattr> xattrs;    ///< sorted by name; never overlayfs's own
  std::vector<TableExtent> extents;  ///< ascending, apart, within `size`
  std::optional<Digest> content;     ///< of a file's bytes, holes filled; only where it was asked for

  bool is_directory() const { return type == EntryType::directory; }
  /// Overlayfs's mark for a name that the layers below have and this one deletes.
  bool is_whiteout() const { return type == EntryType::char_device && device_major == 0 && device_minor == 0; }
  bool operator==(const TableNode&) const = default;
};

struct TableName {
  std::string name;  ///< one component
  std::uint32_t node = 0;

  bool operator==(const TableName&) const = default;
};

/// An immutable value once it is made. The order is fixed by the tree alone: breadth first, names as bytes.
struct LayerTable {
  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  Digest diff_id;                  ///< of the uncompressed archive that the offsets are of
  std::uint64_t archive_size = 0;  ///< its bytes
  std::vector<TableNode> nodes;    ///< [kRoot] is the root directory, which is implied
  std::vector<TableName> names;    ///< the children of each directory together, sorted

  std::span<const TableName> children(const TableNode& directory) const {
    return std::span(names).subspan(directory.first_child, directory.children);
  }
  std::span<const TableName> children(std::uint32_t directory) const { return children(nodes[directory]); }
  /// The node of a name in a directory; kNone if there is none.
  std::uint32_t child(std::uint32_t directory, std::string_view name) const;
  /// The node of a clean relative path ("" is the root), no symlink followed; kNone if there is none.
  std::uint32_t find(std::string_view path) const;

  bool operator==(const LayerTable&) const = default;
};

}  // namespace cbuild::oci::layer
