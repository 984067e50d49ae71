// SPDX-License-Identifier: Apache-2.0
// estargz keeps the list of its members as the last member of the archive, and a footer of 51 bytes, a gzip member
// without content, says where. zstd:chunked keeps it in a frame that other readers skip, and an annotation says where.
#include "oci/layer/foreign_toc.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/decoder.h"
#include "oci/json.h"
#include "oci/table_annotations.h"

namespace cbuild::oci::layer {

namespace {

constexpr std::uint64_t kFooter = 51, kTarBlock = 512, kMaxPacked = 16u << 20;
constexpr std::uint64_t kMaxEnd = 256u << 20;         ///< uncompressed bytes behind the last piece of a file
constexpr std::size_t kEndOfArchive = 2 * kTarBlock;  ///< of zeros

/// Reads what `left` still has.
ByteSource source_of(std::string_view& left) {
  return ByteSource::Read([&left](std::span<std::byte> room) {
    const std::size_t count = left.copy(reinterpret_cast<char*>(room.data()), room.size());
    left.remove_prefix(count);
    return count;
  });
}

/// A footer's extra field holds the offset as 16 hexadecimal digits.
std::optional<std::uint64_t> footer_offset(std::string_view footer) {
  const std::string_view head("\x1f\x8b\x08\x04", 4), extra("\x1a\x00SG\x16\x00", 6);
  if (footer.size() != kFooter || !footer.starts_with(head) || footer.substr(10, extra.size()) != extra ||
      footer.substr(32, 6) != "STARGZ")
    return std::nullopt;
  std::uint64_t offset = 0;
  for (const char c : footer.substr(16, 16)) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    offset = offset << 4 | digit;
  }
  return offset;
}

std::optional<std::uint64_t> parse_octal(std::string_view digits) {
  std::uint64_t out = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') return std::nullopt;
    out = out << 3 | static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

/// The list is the only member of a tar, whose header says how long it is.
std::optional<ForeignToc> read_stargz(const Descriptor& layer, const ReadRange& read) {
  if (layer.size <= kFooter) return std::nullopt;
  const std::uint64_t end = layer.size - kFooter;
  const auto footer = read(end, kFooter);
  const auto offset = footer ? footer_offset(*footer) : std::nullopt;
  if (!offset || *offset >= end || end - *offset > kMaxPacked) return std::nullopt;
  const auto packed = read(*offset, end - *offset);
  const auto header = packed ? decode_part(*packed, 0, kTarBlock) : std::nullopt;
  if (!header || std::string_view(header->c_str()) != kStargzName) return std::nullopt;
  const auto size = parse_octal(std::string_view(*header).substr(124, 11));
  auto document = size && *size <= kMaxToc ? decode_part(*packed, kTarBlock, *size) : std::nullopt;
  if (!document || sha256(*document).str() != annotation(layer, kStargzTable)) return std::nullopt;
  return ForeignToc{std::move(*document), *offset, true};
}

std::optional<ForeignToc> read_chunked(const Descriptor& layer, const ReadRange& read) {
  constexpr std::uint64_t kCrfs = 1;  // the only type of table
  std::vector<std::uint64_t> place;
  for (const std::string& word : split(annotation(layer, kChunkedPlace), ':')) {
    const auto number = parse_int(word);
    if (!number || *number < 0) return std::nullopt;
    place.push_back(static_cast<std::uint64_t>(*number));
  }
  if (place.size() != 4 || place[3] != kCrfs || place[1] == 0 || place[1] > kMaxPacked || place[2] > kMaxToc ||
      place[0] > layer.size || place[1] > layer.size - place[0])
    return std::nullopt;
  const auto packed = read(place[0], place[1]);
  if (!packed || sha256(*packed).str() != annotation(layer, kChunkedTable)) return std::nullopt;
  auto document = decode_part(*packed, 0, place[2]);
  if (!document) return std::nullopt;
  return ForeignToc{std::move(*document), place[0], false};
}

/// The piece of a file that is the last in the blob.
struct LastPiece {
  std::uint64_t offset = 0;             ///< of its gzip member
  std::uint64_t inner = 0, behind = 0;  ///< where it begins in that, and where the padding behind it ends
};

std::uint64_t unsigned_of(const nlohmann::json& entry, const char* key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(json::integer(entry, key), 0));
}

LastPiece last_piece(const std::string& document) {
  LastPiece last;
  std::uint64_t size = 0;  // of the current file
  json::parse_list(document, kMaxToc, "table of contents", "entries", [&](const nlohmann::json& entry) {
    const std::string kind = json::text(entry, "type");
    if (kind == "reg") size = unsigned_of(entry, "size");
    if ((kind != "reg" && kind != "chunk") || size == 0) return;
    const std::uint64_t begin = unsigned_of(entry, "chunkOffset");
    std::uint64_t length = unsigned_of(entry, "chunkSize");
    if (begin > size || length > size - begin) throw Error(ErrorCode::corrupt, "a piece behind the end of its file");
    if (length == 0) length = size - begin;
    const LastPiece found{unsigned_of(entry, "offset"), unsigned_of(entry, "innerOffset"), 0};
    if (found.offset < last.offset || (found.offset == last.offset && found.inner < last.inner)) return;
    last = found;
    last.behind = found.inner + length;
    if (begin + length == size) last.behind += (kTarBlock - size % kTarBlock) % kTarBlock;
  });
  return last;
}

}  // namespace

std::optional<bool> ends_before_table(const ForeignToc& toc, const ReadRange& read) {
  const LastPiece last = last_piece(toc.document);
  if (last.offset > toc.offset || toc.offset - last.offset > kMaxPacked) return std::nullopt;
  const auto packed = read(last.offset, toc.offset - last.offset);
  if (!packed) return std::nullopt;
  std::string_view left = *packed;
  SourceReader source(source_of(left), SourceReader::kUnlimited, false);
  Decoder decoder(source);
  std::vector<char> piece(1u << 16);
  std::string end;
  std::uint64_t total = 0;
  while (const std::size_t got = decoder.read(std::as_writable_bytes(std::span(piece)))) {
    total += got;
    if (total > kMaxEnd) return std::nullopt;
    end.append(piece.data(), got);
    if (end.size() > kEndOfArchive) end.erase(0, end.size() - kEndOfArchive);
  }
  // A header is never all zeros, so two blocks of them behind the last content are the end.
  return total >= last.behind + kEndOfArchive && end == std::string(kEndOfArchive, '\0');
}

std::optional<std::string> decode_part(const std::string& packed, std::uint64_t skipped, std::uint64_t size) {
  std::string_view left = packed;
  SourceReader source(source_of(left), SourceReader::kUnlimited, false);
  Decoder decoder(source);
  std::array<std::byte, 1 << 14> dropped;
  while (skipped > 0) {
    const std::size_t got = decoder.read(std::span(dropped).first(std::min<std::uint64_t>(dropped.size(), skipped)));
    if (got == 0) return std::nullopt;
    skipped -= got;
  }
  std::string out(size, '\0');
  if (decoder.read(std::as_writable_bytes(std::span(out))) != size) return std::nullopt;
  return out;
}

std::optional<ForeignToc> read_toc(const Descriptor& layer, const ReadRange& read) {
  // Tools that write both for a zstd layer leave no footer that estargz's readers know.
  if (!annotation(layer, kChunkedTable).empty()) return read_chunked(layer, read);
  if (!annotation(layer, kStargzTable).empty()) return read_stargz(layer, read);
  return std::nullopt;
}

}  // namespace cbuild::oci::layer
