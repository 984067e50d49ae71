// SPDX-License-Identifier: Apache-2.0
#include "cache/copy_entries.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cache/mounted_seal.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

using oci::layer::EntryType;
using oci::layer::LayerTable;
using oci::layer::PlannedEntry;
using oci::layer::TableName;
using oci::layer::TableNode;

/// A file of contents and its first address.
struct AddressedFile {
  oci::layer::SharedFd file;
  std::uint64_t begin = 0;
};

/// Walks the table depth first.
class CopyEntries final : public oci::layer::PlannedEntries {
 public:
  CopyEntries(SharedTable table, std::vector<AddressedFile> files) : kept_(std::move(table)), files_(std::move(files)) {
    levels_.push_back({kept_->table.children(LayerTable::kRoot), 0, 0});
  }
  bool next(PlannedEntry& entry) override;

 private:
  struct Level {
    std::span<const TableName> names;
    std::size_t next = 0, path_size = 0;
  };
  void fill(std::uint32_t index, PlannedEntry& entry) const;

  const SharedTable kept_;
  const std::vector<AddressedFile> files_;
  std::string path_;
  std::vector<Level> levels_;
};

bool CopyEntries::next(PlannedEntry& entry) {
  while (!levels_.empty() && levels_.back().next == levels_.back().names.size()) levels_.pop_back();
  if (levels_.empty()) return false;
  Level& level = levels_.back();
  const TableName& name = level.names[level.next++];
  path_.resize(level.path_size);
  if (!path_.empty()) path_ += '/';
  path_ += name.name;
  entry = {};
  entry.header.name = path_;
  fill(name.node, entry);
  if (kept_->table.nodes[name.node].is_directory())
    levels_.push_back({kept_->table.children(name.node), 0, path_.size()});
  return true;
}

void CopyEntries::fill(std::uint32_t index, PlannedEntry& entry) const {
  const TableNode& node = kept_->table.nodes[index];
  oci::layer::TarEntry& header = entry.header;
  header.type = node.type;
  header.mode = node.mode;
  header.uid = node.uid;
  header.gid = node.gid;
  header.mtime_s = node.mtime_s;
  header.link_target = node.link_target;
  header.device_major = node.device_major;
  header.device_minor = node.device_minor;
  if (node.type == EntryType::file || node.is_directory()) header.xattrs = oci::layer::layer_xattrs(node.xattrs);
  if (node.names > 1 && node.type == EntryType::file) entry.link_group = index;
  if (node.size == 0) return;
  header.size = node.size;
  const std::uint64_t at = node.extents[0].archive_offset;
  const auto begins_after = [](std::uint64_t address, const AddressedFile& file) { return address < file.begin; };
  const AddressedFile& file = *(std::upper_bound(files_.begin(), files_.end(), at, begins_after) - 1);
  entry.file = file.file;
  entry.file_offset = at - file.begin;
}

bool is_in_one_piece(const TableNode& node) {
  return node.size == 0 || (node.extents.size() == 1 && node.extents[0].size == node.size);
}

}  // namespace

std::unique_ptr<oci::layer::PlannedEntries> open_copy_entries(Store& store, const Digest& layer) {
  SharedTable table = store.impl().open_layers.table(layer);
  if (!table || !std::all_of(table->table.nodes.begin(), table->table.nodes.end(), is_in_one_piece)) return nullptr;
  const auto dir = sys::try_open_at(store.impl().dir(Dir::snapshots), snapshot_name(layer), O_RDONLY | O_DIRECTORY);
  const auto seal = dir ? read_seal(dir->get()) : std::nullopt;
  auto opened = seal ? open_sealed(dir->get(), *seal) : std::nullopt;
  if (!opened) return nullptr;
  std::vector<AddressedFile> files;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < opened->size(); ++i) {
    files.push_back({std::make_shared<const UniqueFd>(std::move((*opened)[i])), begin});
    begin += seal->files[i].size;
  }
  return std::make_unique<CopyEntries>(std::move(table), std::move(files));
}

}  // namespace cbuild::cache
