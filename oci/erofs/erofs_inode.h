// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "oci/erofs/erofs_format.h"
#include "oci/layer/layer_table.h"

namespace cbuild::oci::erofs {

/// Values for an inode's fields, in addition to its TableNode.
struct InodeFields {
  DataLayout layout = DataLayout::plain;
  std::uint64_t size = 0;
  std::uint32_t place = 0;  ///< block, device number or format of chunks
  std::uint32_t number = 0, links = 1;
  std::size_t xattr_bytes = 0;
};

/// The xattrs of a node as they stand behind its inode; empty if there are none. Throws Error{unsupported}.
std::string encode_xattrs(const layer::TableNode& node);
/// Writes the extended form of an inode at `at`.
void write_inode(std::string& image, std::uint64_t at, const layer::TableNode& node, const InodeFields& fields);
/// The number of a device as Linux writes it in 32 bits.
std::uint32_t encode_device(const layer::TableNode& node);
/// The type of a directory's entry.
std::uint8_t entry_type(layer::EntryType type);

}  // namespace cbuild::oci::erofs
