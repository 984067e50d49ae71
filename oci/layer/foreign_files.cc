// SPDX-License-Identifier: Apache-2.0
// Files of a layer by its own table: their pieces in the order of the blob, put together to ranges so that neighbours
// cost one question.
#include <algorithm>

#include "base/error.h"
#include "oci/layer/foreign_toc.h"

namespace cbuild::oci::layer {

namespace {

constexpr std::uint64_t kMostBetween = 64u << 10;  ///< bytes that nobody wants, read for one question less
constexpr std::uint64_t kMostAtOnce = 8u << 20;    ///< of several pieces; held in memory
constexpr std::uint64_t kMostDecoded = 1u << 30;

using Piece = std::pair<std::uint32_t, ForeignChunk>;

/// Nullopt if a file's are not known, or if they are too much.
std::optional<std::vector<Piece>> pieces_of(const ForeignTable& table, const std::vector<std::uint32_t>& nodes) {
  std::vector<Piece> out;
  std::uint64_t decoded = 0;
  for (const std::uint32_t node : nodes) {
    const auto chunks = table.chunks.find(node);
    if (chunks == table.chunks.end()) return std::nullopt;
    for (const ForeignChunk& chunk : chunks->second) {
      decoded += chunk.skipped + chunk.size;
      if (decoded > kMostDecoded) return std::nullopt;
      out.emplace_back(node, chunk);
    }
  }
  return out;
}

bool fits(const ForeignRange& range, const ForeignChunk& chunk) {
  const std::uint64_t end = range.offset + range.size;
  return chunk.blob_offset <= end + kMostBetween && std::max(end, chunk.blob_end) - range.offset <= kMostAtOnce;
}

}  // namespace

std::optional<std::vector<ForeignRange>> plan_reads(const ForeignTable& table, std::vector<std::uint32_t> nodes) {
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  auto pieces = pieces_of(table, nodes);
  if (!pieces) return std::nullopt;
  std::sort(pieces->begin(), pieces->end(), [](const Piece& a, const Piece& b) {
    return std::pair(a.second.blob_offset, a.second.skipped) < std::pair(b.second.blob_offset, b.second.skipped);
  });
  std::vector<ForeignRange> out;
  for (Piece& piece : *pieces) {
    const ForeignChunk& chunk = piece.second;
    if (out.empty() || !fits(out.back(), chunk)) out.push_back({chunk.blob_offset, 0, {}});
    ForeignRange& range = out.back();
    range.size = std::max(range.size, chunk.blob_end - range.offset);
    range.pieces.push_back(std::move(piece));
  }
  return out;
}

bool read_pieces(const ForeignRange& range, const ReadRange& read, const PieceSink& sink) {
  const auto packed = read(range.offset, range.size);
  if (!packed || packed->size() != range.size) return false;
  for (const auto& [node, chunk] : range.pieces) {
    std::optional<std::string> bytes;
    try {
      bytes = decode_part(packed->substr(chunk.blob_offset - range.offset, chunk.blob_end - chunk.blob_offset),
                          chunk.skipped, chunk.size);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
    }
    if (!bytes || sha256(*bytes) != chunk.digest) return false;
    sink(node, chunk.file_offset, *bytes);
  }
  return true;
}

}  // namespace cbuild::oci::layer
