// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/layer_table.h"

#include <sys/stat.h>

#include <algorithm>

namespace cbuild::oci::layer {

mode_t type_bits(EntryType type) {
  switch (type) {
    case EntryType::directory:
      return S_IFDIR;
    case EntryType::symlink:
      return S_IFLNK;
    case EntryType::fifo:
      return S_IFIFO;
    case EntryType::char_device:
      return S_IFCHR;
    case EntryType::block_device:
      return S_IFBLK;
    case EntryType::file:
    case EntryType::hardlink:
      break;
  }
  return S_IFREG;
}

std::uint32_t LayerTable::child(std::uint32_t directory, std::string_view name) const {
  const auto all = children(directory);
  const auto at = std::lower_bound(all.begin(), all.end(), name,
                                   [](const TableName& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != all.end() && at->name == name ? at->node : kNone;
}

std::uint32_t LayerTable::find(std::string_view path) const {
  std::uint32_t node = kRoot;
  while (!path.empty() && node != kNone) {
    const std::size_t end = std::min(path.find('/'), path.size());
    node = nodes[node].is_directory() ? child(node, path.substr(0, end)) : kNone;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return node;
}

}  // namespace cbuild::oci::layer
