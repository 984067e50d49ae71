// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "oci/layer/layer_pass.h"
#include "oci/layer/layer_table.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {

struct TableOptions {
  bool content_digests = false;  ///< makes TableNode::content
  std::uint64_t max_bytes = 1ull << 42;
};

/// Makes the table of a layer from the members of its archive, by the rules of unpack() with Whiteouts::overlay as root
/// on a file system that can do everything: symlinks on the way, replacement, merging, whiteouts, refusals. Used by one
/// thread.
class TableRecorder {
 public:
  explicit TableRecorder(const TableOptions& options);
  ~TableRecorder();
  TableRecorder(const TableRecorder&) = delete;
  TableRecorder& operator=(const TableRecorder&) = delete;

  /// Takes in the next member; its content follows. Throws Error, mostly {corrupt}; the caller adds the name.
  void add(const TarMember& member);
  /// A piece of the content of the member added last, as TarReader::data() and TarReader::position() give it.
  void data(std::span<const std::byte> bytes, std::uint64_t file_offset, std::uint64_t archive_offset);
  /// Once, behind the last member. `diff_id` and `archive_size` are set by who knows them.
  LayerTable finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads a layer's blob as unpack() does and makes its table.
LayerTable read_table(ByteSource source, const TableOptions& options, const PassOptions& pass);

/// As read_members() for a recorder that works next to another consumer: adds the member and, for files, all its
/// content.
void record_member(TableRecorder& recorder, const TarMember& member, TarReader& reader);

}  // namespace cbuild::oci::layer
