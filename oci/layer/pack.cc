// SPDX-License-Identifier: Apache-2.0
// One walk, one pass: scan -> tar -> block -> digest of the tar and compression at once -> blob store, which digests
// what it gets.
#include "oci/layer/pack.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/block_stream.h"
#include "oci/layer/entry_rules.h"
#include "oci/layer/stargz_writer.h"
#include "oci/layer/tree_scan.h"

namespace cbuild::oci::layer {
namespace {

/// Names of the files already written that have more than one link.
class LinkTable {
 public:
  /// The name an inode was first written under, or nullptr after remembering `entry` as the first.
  const std::string* seen(const ScannedEntry& entry) {
    const auto [at, added] = names_.try_emplace(Key{entry.device, entry.inode}, entry.header.name);
    return added ? nullptr : &at->second;
  }

 private:
  struct Key {
    std::uint64_t device, inode;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const { return std::hash<std::uint64_t>()(key.inode * 31 + key.device); }
  };
  std::unordered_map<Key, std::string, Hash> names_;
};

class TreePacker {
 public:
  /// `table`, which may be null, is told of every member.
  TreePacker(BlockStream& out, const PackOptions& options, StargzWriter* table)
      : out_(out),
        options_(options),
        table_(table),
        tar_([&out](std::span<const std::byte> bytes) { out.write(bytes); }) {}

  void add(ScannedEntry& entry);
  void finish() {
    tar_.finish();
    out_.finish();
  }

 private:
  void add_header(const TarEntry& header);
  void add_whiteout(const std::string& name, std::size_t name_at);
  void add_marker(std::string name);
  void add_data(const ScannedEntry& entry);
  void copy_dense(int fd, const ScannedEntry& entry, std::uint64_t from, std::uint64_t to);
  void copy_sparse(int fd, const ScannedEntry& entry);
  void check_cancelled() const {
    if (options_.cancel) options_.cancel->check();
  }

  BlockStream& out_;
  const PackOptions& options_;
  StargzWriter* const table_;
  TarWriter tar_;
  LinkTable links_;
};

void TreePacker::add(ScannedEntry& entry) {
  check_cancelled();
  TarEntry& header = entry.header;
  if (entry.role == ScannedEntry::Role::skipped) return;
  if (entry.role == ScannedEntry::Role::whiteout) return add_whiteout(header.name, entry.name_at);
  if (options_.clamp_mtime_s) header.mtime_s = std::min(header.mtime_s, *options_.clamp_mtime_s);
  if (entry.links > 1) {
    if (const std::string* first = links_.seen(entry)) {
      // The xattrs stay: a reader that changes the owner of the link takes the capability off the file they share.
      header.type = EntryType::hardlink;
      header.link_target = *first;
    }
  }
  add_header(header);
  if (header.type == EntryType::file && header.size > 0) add_data(entry);
  if (entry.opaque) add_marker(cat(header.name, "/", kOpaqueName));
}

void TreePacker::add_header(const TarEntry& header) {
  tar_.entry(header);
  if (table_ == nullptr) return;
  TarMember member{header};
  member.has_data = header.type == EntryType::file && header.size > 0;
  table_->add(member, out_.size());
}

void TreePacker::add_whiteout(const std::string& name, std::size_t name_at) {
  add_marker(cat(std::string_view(name).substr(0, name_at), kWhiteoutPrefix, std::string_view(name).substr(name_at)));
}

/// Mode, owner and time of a marker are zero, as containerd writes it.
void TreePacker::add_marker(std::string name) {
  TarEntry marker;
  marker.name = std::move(name);
  add_header(marker);
}

void TreePacker::add_data(const ScannedEntry& entry) {
  if (entry.data_loaded) return tar_.data(entry.data.content());
  if (entry.file) return copy_dense(entry.file->get(), entry, entry.file_offset, entry.file_offset + entry.header.size);
  const UniqueFd fd = open_scanned(entry);
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  if (entry.sparse) return copy_sparse(fd.get(), entry);
  copy_dense(fd.get(), entry, 0, entry.header.size);
}

/// Reads straight into the blocks.
void TreePacker::copy_dense(int fd, const ScannedEntry& entry, std::uint64_t from, std::uint64_t to) {
  while (from < to) {
    check_cancelled();
    std::span<std::byte> room = out_.room();
    room = room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), to - from)));
    read_exactly(fd, room, from, entry.header.name);
    out_.advance(room.size());
    tar_.data_written(room.size());
    from += room.size();
  }
}

/// Layers have no sparse members (layer.md), so holes are written as zeros, but nobody reads them from the disk.
void TreePacker::copy_sparse(int fd, const ScannedEntry& entry) {
  const std::uint64_t size = entry.header.size;
  for (std::uint64_t at = 0; at < size;) {
    const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno != ENXIO) return copy_dense(fd, entry, at, size);
    const std::uint64_t begin = data < 0 ? size : std::min(static_cast<std::uint64_t>(data), size);
    while (at < begin) {
      check_cancelled();
      const std::uint64_t zeros = std::min<std::uint64_t>(begin - at, out_.room().size());
      out_.write_zeros(zeros);
      tar_.data_written(zeros);
      at += zeros;
    }
    if (at == size) return;
    const off_t hole = lseek(fd, data, SEEK_HOLE);
    const std::uint64_t end = hole < 0 ? size : std::min(static_cast<std::uint64_t>(hole), size);
    copy_dense(fd, entry, at, end);
    at = end;
  }
}

void pack_entries(ScanSource& source, TaskGroup& tasks, BlockStream& out, const PackOptions& options,
                  StargzWriter* table = nullptr) {
  TreeScan scan(source, tasks);
  TreePacker packer(out, options, table);
  ScannedEntry entry;
  while (scan.next(entry)) packer.add(entry);
  packer.finish();
}

/// The archive goes through the writer of the table, which has threads of its own.
PackedLayer pack_stargz(ScanSource& source, BlobStore& blobs, const PackOptions& options) {
  PackedLayer layer;
  const std::unique_ptr<BlobWriter> writer = blobs.create();
  StargzWriter stargz(options.level, [&](std::span<const std::byte> bytes) {
    writer->write(bytes);
    layer.descriptor.size += bytes.size();
  });
  TaskGroup tasks;
  BlockStream out(tasks, Compression::none, 0, [&](std::span<const std::byte> bytes) { stargz.write(bytes); });
  pack_entries(source, tasks, out, options, &stargz);
  complete_stargz(layer, stargz.finish());
  layer.descriptor.digest = writer->commit();
  return layer;
}

PackedLayer pack_source(ScanSource& source, BlobStore& blobs, const PackOptions& options) {
  if (options.compression == Compression::estargz) return pack_stargz(source, blobs, options);
  PackedLayer layer;
  const std::unique_ptr<BlobWriter> writer = blobs.create();
  const auto sink = [&](std::span<const std::byte> bytes) {
    writer->write(bytes);
    layer.descriptor.size += bytes.size();
  };
  // Uncompressed, the blob's digest is the diff id: nothing is digested twice.
  std::optional<Sha256> tar_digest;
  ByteSink tap;
  if (options.compression != Compression::none) {
    tar_digest.emplace();
    tap = [&](std::span<const std::byte> bytes) { tar_digest->update(bytes); };
  }
  TaskGroup tasks;
  BlockStream out(tasks, options.compression, options.level, sink, tap);
  pack_entries(source, tasks, out, options);
  layer.descriptor.media_type = media_type(options.compression);
  layer.descriptor.digest = writer->commit();
  layer.diff_id = tar_digest ? tar_digest->finish() : layer.descriptor.digest;
  layer.uncompressed_size = out.size();
  return layer;
}

}  // namespace

void complete_stargz(PackedLayer& layer, const StargzBlob& blob) {
  layer.diff_id = blob.diff_id;
  layer.uncompressed_size = blob.uncompressed_size;
  layer.descriptor.media_type = media_type(Compression::estargz);
  layer.descriptor.annotations = blob.annotations;
}

PackedLayer pack_layer(int upper_dirfd, BlobStore& blobs, const PackOptions& options) {
  const ScanRules rules{.overlay = true, .side = SideMetadata::read(upper_dirfd)};
  return pack_source(*scan_directory_tree(upper_dirfd, rules), blobs, options);
}

PackedLayer pack_planned(PlannedEntries& entries, BlobStore& blobs, const PackOptions& options) {
  return pack_source(*scan_planned_tree(entries), blobs, options);
}

void write_tree_tar(int dirfd, const ByteSink& sink, const PackOptions& options) {
  TaskGroup tasks;
  BlockStream out(tasks, Compression::none, 0, sink);
  pack_entries(*scan_directory_tree(dirfd, ScanRules{.overlay = false}), tasks, out, options);
}

}  // namespace cbuild::oci::layer
