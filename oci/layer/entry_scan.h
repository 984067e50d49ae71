// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/side/side_metadata.h"
#include "oci/compression/raw_buffer.h"
#include "oci/layer/planned_entry.h"
#include "oci/layer/tar_writer.h"
#include "oci/layer/tree_walk.h"

namespace cbuild::oci::layer {

/// An entry on disk behind one name, read to the point where only order-dependent decisions are left.
struct ScannedEntry {
  enum class Role { entry, whiteout, skipped };

  Role role = Role::entry;
  TarEntry header;           ///< complete but for hard links, which need the entries before
  bool opaque = false;       ///< a directory that hides the content of the layers below
  bool sparse = false;       ///< a file with holes
  bool data_loaded = false;  ///< the content of a small file is in `data`
  RawBuffer data;
  std::uint64_t links = 1, device = 0, inode = 0;
  SharedFd parent;  ///< to open the file again
  std::size_t name_at = 0;
  SharedFd file;  ///< holds the content, from file_offset on; or null
  std::uint64_t file_offset = 0;
  std::string source_name;  ///< of a file that lies under another name than its own; or empty

  const char* name() const { return source_name.empty() ? header.name.c_str() + name_at : source_name.c_str(); }
};

struct ScanRules {
  bool overlay = true;                                 ///< char 0:0 and the overlay xattrs have overlayfs's meaning
  std::shared_ptr<const SideMetadata> side = nullptr;  ///< of the tree; null if it has none
};

/// Reads everything about one entry: stat, link target, xattrs, and the content of a file that is no larger than
/// kSmallFile and fits in `budget`, which is lowered by it. Under overlay rules throws Error{unsupported} for
/// redirects, metacopy and xattr whiteouts. Thread-safe.
ScannedEntry scan_entry(WalkEntry&& found, const ScanRules& rules, std::size_t& budget);

/// The same for an entry that is only planned: the content of a file, and its xattrs, are read where they lie.
/// Thread-safe.
ScannedEntry scan_planned(PlannedEntry&& planned, std::size_t& budget);

/// Opens a file for reading once more. Throws Error naming it.
UniqueFd open_scanned(const ScannedEntry& entry);

/// Fills `room` from `offset`. Throws Error{io} if the file is shorter than it was when scanned.
void read_exactly(int fd, std::span<std::byte> room, std::uint64_t offset, const std::string& path);

inline constexpr std::size_t kSmallFile = 64u << 10;

}  // namespace cbuild::oci::layer
