// SPDX-License-Identifier: Apache-2.0
// The image, front to back: superblock and device slots; inodes in the table's order, each with its xattrs and, where
// they are short, its chunk indexes or link target; then blocks of directories, long targets and copied pieces. A first
// pass gives everything its place, a second writes. An inode's number is its place, so directories know their entries.
#include "oci/erofs/erofs_image.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "oci/erofs/erofs_chunks.h"
#include "oci/erofs/erofs_format.h"
#include "oci/erofs/erofs_inode.h"

namespace cbuild::oci::erofs {
namespace {

using layer::EntryType;
using layer::LayerTable;
using layer::TableExtent;
using layer::TableNode;

constexpr std::uint64_t kMaxImage = 256u << 20, kImageAlignment = 4096;

struct Dirent {
  std::string_view name;
  std::uint32_t node;
};

/// Where the parts of a node are.
struct Placed {
  std::uint64_t inode = 0;   ///< offset in the image
  std::uint64_t blocks = 0;  ///< offset of the data outside of the inode
  std::uint64_t size = 0;    ///< i_size
  std::uint32_t xattr_bytes = 0, links = 1;
  DataLayout layout = DataLayout::plain;
  std::uint16_t chunk_format = 0;
};

/// A file that holds a part of the archive, in bytes.
struct Part {
  std::uint64_t begin = 0, size = 0;
};

std::vector<Part> parts_of(const LayerTable& table, std::span<const std::uint64_t> sizes) {
  if (sizes.empty()) return {{0, align_up(table.archive_size, kBlock)}};
  std::vector<Part> out;
  std::uint64_t begin = 0;
  for (const std::uint64_t size : sizes) {
    CBUILD_CHECK(size % kBlock == 0);
    out.push_back({begin, size});
    begin += size;
  }
  return out;
}

class ImageWriter {
 public:
  ImageWriter(const LayerTable& table, const ReadArchive& read, std::span<const std::uint64_t> parts)
      : table_(table),
        read_(read),
        parts_(parts_of(table, parts)),
        end_(align_up(kSuperAt + kSuperSize + parts_.size() * kSlotSize, kBlock)) {}
  std::string write();

 private:
  void find_parents();
  std::vector<Dirent> entries_of(std::uint32_t directory) const;
  void place_inode(std::uint32_t index);
  void place_blocks(std::uint32_t index);
  std::uint64_t take_blocks(std::uint64_t bytes);
  void write_super();
  void write_node(std::uint32_t index);
  void write_directory(std::uint32_t index);
  void write_chunks(std::uint32_t index, const ChunkMap& map);
  void copy_chunk(const TableNode& node, std::uint64_t begin, std::uint64_t size, std::uint64_t to);
  std::uint64_t nid(std::uint32_t index) const { return placed_[index].inode / kNidUnit; }
  std::size_t part_at(std::uint64_t offset) const;

  const LayerTable& table_;
  const ReadArchive& read_;
  const std::vector<Part> parts_;
  std::vector<Placed> placed_;
  std::vector<std::uint32_t> parents_;  ///< of directories
  std::uint64_t end_;
  std::string image_;
};

/// Gives away the block-aligned part of directory entries: how many fit into one block, from `first` on.
std::size_t entries_in_block(const std::vector<Dirent>& entries, std::size_t first) {
  std::size_t used = 0, at = first;
  for (; at < entries.size(); ++at) {
    const std::size_t more = kDirentSize + entries[at].name.size();
    if (used + more > kBlock) break;
    used += more;
  }
  return at - first;
}

std::size_t bytes_of_entries(const std::vector<Dirent>& entries, std::size_t first, std::size_t count) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < count; ++i) out += kDirentSize + entries[first + i].name.size();
  return out;
}

/// The size of a directory: whole blocks, and the last as far as it is used.
std::uint64_t directory_size(const std::vector<Dirent>& entries) {
  std::uint64_t out = 0;
  for (std::size_t at = 0; at < entries.size();) {
    const std::size_t count = entries_in_block(entries, at);
    out = align_up(out, kBlock) + bytes_of_entries(entries, at, count);
    at += count;
  }
  return out;
}

void ImageWriter::find_parents() {
  parents_.resize(table_.nodes.size(), LayerTable::kRoot);
  for (std::uint32_t i = 0; i < table_.nodes.size(); ++i) {
    if (!table_.nodes[i].is_directory()) continue;
    placed_[i].links = 2;
    for (const layer::TableName& name : table_.children(i)) {
      if (!table_.nodes[name.node].is_directory()) continue;
      parents_[name.node] = i;
      ++placed_[i].links;
    }
  }
}

std::vector<Dirent> ImageWriter::entries_of(std::uint32_t directory) const {
  std::vector<Dirent> out{{".", directory}, {"..", parents_[directory]}};
  for (const layer::TableName& name : table_.children(directory)) out.push_back({name.name, name.node});
  const auto by_name = [](const Dirent& a, const Dirent& b) { return a.name < b.name; };
  std::sort(out.begin(), out.end(), by_name);
  return out;
}

std::uint64_t ImageWriter::take_blocks(std::uint64_t bytes) {
  const std::uint64_t at = align_up(end_, kBlock);
  end_ = at + align_up(bytes, kBlock);
  if (end_ > kMaxImage) throw Error(ErrorCode::unsupported, "the layer needs too much metadata for EROFS");
  return at;
}

void ImageWriter::place_inode(std::uint32_t index) {
  const TableNode& node = table_.nodes[index];
  Placed& placed = placed_[index];
  placed.xattr_bytes = static_cast<std::uint32_t>(encode_xattrs(node).size());
  std::uint64_t size = kInodeSize + placed.xattr_bytes, in_one_block = kInodeSize;
  if (node.type == EntryType::file) {
    placed.size = node.size;
    if (node.size > 0) {
      const ChunkMap map = map_chunks(node);
      placed.layout = DataLayout::chunks;
      placed.chunk_format = static_cast<std::uint16_t>(kChunkIndexes | map.bits);
      size = align_up(size, kChunkIndexSize) + map.chunks.size() * kChunkIndexSize;
    }
  } else if (node.type == EntryType::symlink) {
    placed.size = node.link_target.size();
    if (size + placed.size <= kBlock) {
      placed.layout = DataLayout::in_inode;
      size += placed.size;
      in_one_block = size;
    }
  }
  if (!node.is_directory()) placed.links = std::max(node.names, 1u);
  end_ = align_up(end_, kNidUnit);
  if (end_ / kBlock != (end_ + in_one_block - 1) / kBlock) end_ = align_up(end_, kBlock);
  placed.inode = end_;
  end_ += size;
  if (end_ > kMaxImage) throw Error(ErrorCode::unsupported, "the layer needs too much metadata for EROFS");
}

void ImageWriter::place_blocks(std::uint32_t index) {
  const TableNode& node = table_.nodes[index];
  Placed& placed = placed_[index];
  if (node.is_directory()) {
    placed.size = directory_size(entries_of(index));
    placed.blocks = take_blocks(placed.size);
  } else if (node.type == EntryType::symlink && placed.layout == DataLayout::plain) {
    placed.blocks = take_blocks(placed.size);
  } else if (placed.layout == DataLayout::chunks) {
    const ChunkMap map = map_chunks(node);
    if (map.copied > kMaxImage / kBlock >> map.bits)
      throw Error(ErrorCode::unsupported, "a sparse file that is too large for EROFS");
    if (map.copied > 0) placed.blocks = take_blocks(map.copied * (kBlock << map.bits));
  }
}

void ImageWriter::write_super() {
  const std::uint64_t blocks = image_.size() / kBlock;
  ImagePart(image_, kSuperAt)
      .put(0, kMagic)
      .put(8, kCompatMtime)
      .put(12, static_cast<std::uint8_t>(kBlockBits))
      .put(14, static_cast<std::uint16_t>(nid(LayerTable::kRoot)))
      .put(16, static_cast<std::uint64_t>(table_.nodes.size()))
      .put(36, static_cast<std::uint32_t>(blocks))
      .text(48, {reinterpret_cast<const char*>(table_.diff_id.bytes.data()), 16})
      .put(80, kIncompatChunked | kIncompatDevices)
      .put(86, static_cast<std::uint16_t>(parts_.size()))
      .put(88, static_cast<std::uint16_t>((kSuperAt + kSuperSize) / kSlotSize));
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const std::uint64_t size = parts_[i].size / kBlock;
    if (size >= kNoBlock) throw Error(ErrorCode::unsupported, "the layer is too large for EROFS");
    ImagePart(image_, kSuperAt + kSuperSize + i * kSlotSize)
        .text(0, table_.diff_id.hex())
        .put(64, static_cast<std::uint32_t>(size));
  }
}

/// The part that holds a byte of the archive.
std::size_t ImageWriter::part_at(std::uint64_t offset) const {
  const auto begins_after = [](std::uint64_t at, const Part& part) { return at < part.begin; };
  const auto next = std::upper_bound(parts_.begin(), parts_.end(), offset, begins_after);
  return static_cast<std::size_t>(next - parts_.begin()) - 1;
}

void ImageWriter::write_directory(std::uint32_t index) {
  const std::vector<Dirent> entries = entries_of(index);
  std::uint64_t block = placed_[index].blocks;
  for (std::size_t at = 0; at < entries.size(); block += kBlock) {
    const std::size_t count = entries_in_block(entries, at);
    std::size_t name_at = count * kDirentSize;
    for (std::size_t i = 0; i < count; ++i) {
      const Dirent& entry = entries[at + i];
      ImagePart(image_, block + i * kDirentSize)
          .put(0, nid(entry.node))
          .put(8, static_cast<std::uint16_t>(name_at))
          .put(10, entry_type(table_.nodes[entry.node].type));
      ImagePart(image_, block).text(name_at, entry.name);
      name_at += entry.name.size();
    }
    at += count;
  }
}

/// Composes a chunk of the pieces that lie in it.
void ImageWriter::copy_chunk(const TableNode& node, std::uint64_t begin, std::uint64_t size, std::uint64_t to) {
  const auto ends_before = [](const TableExtent& extent, std::uint64_t offset) {
    return extent.file_offset + extent.size <= offset;
  };
  auto extent = std::lower_bound(node.extents.begin(), node.extents.end(), begin, ends_before);
  for (; extent != node.extents.end() && extent->file_offset < begin + size; ++extent) {
    const std::uint64_t from = std::max(begin, extent->file_offset);
    const std::uint64_t end = std::min(begin + size, extent->file_offset + extent->size);
    read_(extent->archive_offset + (from - extent->file_offset),
          std::as_writable_bytes(std::span(image_).subspan(to + (from - begin), end - from)));
  }
}

void ImageWriter::write_chunks(std::uint32_t index, const ChunkMap& map) {
  const Placed& placed = placed_[index];
  const std::uint64_t table = align_up(placed.inode + kInodeSize + placed.xattr_bytes, kChunkIndexSize);
  const std::uint64_t size = kBlock << map.bits;
  std::uint64_t copy_to = placed.blocks;
  for (std::size_t i = 0; i < map.chunks.size(); ++i) {
    const Chunk& chunk = map.chunks[i];
    std::uint64_t block = kNoBlock;
    std::size_t device = 0;
    if (chunk.place == Chunk::Place::archive) {
      const std::size_t part = part_at(chunk.offset);
      device = part + 1;
      block = (chunk.offset - parts_[part].begin) / kBlock;
    }
    if (chunk.place == Chunk::Place::copied) {
      copy_chunk(table_.nodes[index], i * size, size, copy_to);
      block = copy_to / kBlock;
      copy_to += size;
    }
    ImagePart(image_, table + i * kChunkIndexSize)
        .put(2, static_cast<std::uint16_t>(device))
        .put(4, static_cast<std::uint32_t>(block));
  }
}

void ImageWriter::write_node(std::uint32_t index) {
  const TableNode& node = table_.nodes[index];
  const Placed& placed = placed_[index];
  InodeFields fields{placed.layout, placed.size, 0, index + 1, placed.links, placed.xattr_bytes};
  const std::uint64_t tail = placed.inode + kInodeSize + placed.xattr_bytes;
  if (placed.layout == DataLayout::chunks) {
    fields.place = placed.chunk_format;
    write_chunks(index, map_chunks(node));
  } else if (node.is_directory()) {
    fields.place = static_cast<std::uint32_t>(placed.blocks / kBlock);
    write_directory(index);
  } else if (node.type == EntryType::symlink) {
    fields.place = static_cast<std::uint32_t>(placed.blocks / kBlock);
    ImagePart(image_, placed.layout == DataLayout::in_inode ? tail : placed.blocks).text(0, node.link_target);
  } else if (node.type != EntryType::file) {
    fields.place = encode_device(node);
  }
  write_inode(image_, placed.inode, node, fields);
  ImagePart(image_, placed.inode + kInodeSize).text(0, encode_xattrs(node));
}

std::string ImageWriter::write() {
  const auto count = static_cast<std::uint32_t>(table_.nodes.size());
  placed_.resize(count);
  find_parents();
  for (std::uint32_t i = 0; i < count; ++i) place_inode(i);
  for (std::uint32_t i = 0; i < count; ++i) place_blocks(i);
  image_.resize(align_up(end_, kImageAlignment));
  write_super();
  for (std::uint32_t i = 0; i < count; ++i) write_node(i);
  return std::move(image_);
}

}  // namespace

std::string make_image(const layer::LayerTable& table, const ReadArchive& read, std::span<const std::uint64_t> parts) {
  return ImageWriter(table, read, parts).write();
}

}  // namespace cbuild::oci::erofs
