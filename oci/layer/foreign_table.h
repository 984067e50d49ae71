// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "oci/descriptor.h"
#include "oci/layer/layer_table.h"

/// Layers whose blob has a table of contents of its own (estargz, zstd:chunked), so that single files can be read of
/// it. The manifest names the table's digest (oci/table_annotations.h), and the table that of each piece of each file.
namespace cbuild::oci::layer {

/// Bytes of a blob, not verified; nullopt if they cannot be read in parts. Throws only what ends a build.
using ReadRange = std::function<std::optional<std::string>(std::uint64_t offset, std::uint64_t size)>;

/// A piece of a file's content, compressed for itself in the blob.
struct ForeignChunk {
  std::uint64_t blob_offset = 0, blob_end = 0;  ///< where to begin, and where it has ended
  std::uint64_t skipped = 0;                    ///< uncompressed bytes in front of it
  std::uint64_t file_offset = 0, size = 0;
  Digest digest;

  bool operator==(const ForeignChunk&) const = default;
};

struct ForeignTable {
  LayerTable table;                                           ///< without extents: they are in the blob
  std::map<std::uint32_t, std::vector<ForeignChunk>> chunks;  ///< of files that can be read, by node
};

/// The table, read by ranges and verified against its digest. Nullopt if there is none, or one that does not fit, is
/// damaged, too large, or of a kind that is not known: then the whole layer has to be read. What `read` throws comes
/// out.
std::optional<ForeignTable> read_foreign_table(const Descriptor& layer, const ReadRange& read);
/// The table of a document that was verified, and whose layer's files end at `end` in the blob. `listed`: the archive
/// has the document as a member, too, which it does not list. Throws Error{corrupt, unsupported}.
ForeignTable parse_foreign_table(const std::string& document, std::uint64_t end, bool listed);

/// Bytes of a blob that are asked for at once, and the pieces of files (by node) in them.
struct ForeignRange {
  std::uint64_t offset = 0, size = 0;
  std::vector<std::pair<std::uint32_t, ForeignChunk>> pieces;
};

/// The ranges to read for some files, those that lie close together in one. Nullopt if a file cannot be read by pieces,
/// or if so much would have to be decoded that the whole layer is less.
std::optional<std::vector<ForeignRange>> plan_reads(const ForeignTable& table, std::vector<std::uint32_t> nodes);

using PieceSink = std::function<void(std::uint32_t node, std::uint64_t file_offset, std::string_view bytes)>;
/// Reads a range and gives out each piece once it is verified. False if that cannot be done. What `read` and `sink`
/// throw comes out.
bool read_pieces(const ForeignRange& range, const ReadRange& read, const PieceSink& sink);

}  // namespace cbuild::oci::layer
