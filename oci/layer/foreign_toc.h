// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "oci/layer/foreign_table.h"

/// Where a blob has its table of contents.
namespace cbuild::oci::layer {

inline constexpr char kStargzName[] = "stargz.index.json";
inline constexpr std::uint64_t kMaxToc = 32u << 20;

/// A table as the document that it is.
struct ForeignToc {
  std::string document;
  std::uint64_t offset = 0;  ///< in the blob
  bool listed = false;       ///< a tar with it follows the archive, and is part of that where it has not ended
};

/// Read by ranges and verified; nullopt if there is none that fits.
std::optional<ForeignToc> read_toc(const Descriptor& layer, const ReadRange& read);

/// Whether the archive of an estargz blob has ended in front of its table, as it has where the archive was kept as it
/// was: then the table is not a member of it. nullopt if that cannot be read. Throws Error{corrupt, unsupported}.
std::optional<bool> ends_before_table(const ForeignToc& toc, const ReadRange& read);

/// Bytes of a compressed stream, `skipped` bytes behind its beginning; nullopt if there are not so many. Throws
/// Error{corrupt, unsupported}.
std::optional<std::string> decode_part(const std::string& packed, std::uint64_t skipped, std::uint64_t size);

}  // namespace cbuild::oci::layer
