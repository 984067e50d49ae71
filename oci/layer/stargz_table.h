// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {

/// A piece of a file's content, in a gzip member of its own.
struct StargzPiece {
  std::uint64_t blob_offset = 0;  ///< of the gzip member
  std::uint64_t file_offset = 0, size = 0;
  Digest digest;
};

/// A member of an archive as the table of contents has it.
struct StargzEntry {
  TarMember member;
  std::optional<Digest> content;  ///< of a regular file
  std::vector<StargzPiece> pieces;
};

/// Pieces of a file but the last have this size.
inline constexpr std::uint64_t kStargzPiece = 4u << 20;

/// The table of contents, as JSON.
std::string stargz_table(const std::deque<StargzEntry>& entries);
/// The 51 bytes at the end of the blob: an empty gzip member whose extra field says where the table is.
std::string stargz_footer(std::uint64_t table_at);

}  // namespace cbuild::oci::layer
