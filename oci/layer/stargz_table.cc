// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/stargz_table.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

using Json = nlohmann::ordered_json;

std::string_view type_name(EntryType type) {
  switch (type) {
    case EntryType::file:
      return "reg";
    case EntryType::directory:
      return "dir";
    case EntryType::symlink:
      return "symlink";
    case EntryType::hardlink:
      return "hardlink";
    case EntryType::fifo:
      return "fifo";
    case EntryType::char_device:
      return "char";
    case EntryType::block_device:
      return "block";
  }
  return "";
}

/// The format leaves out what is zero.
void put_number(Json& json, const char* key, std::uint64_t value) {
  if (value != 0) json[key] = value;
}

/// Whole seconds, rounded, as its other writers do.
void put_time(Json& json, const TarMember& member) {
  const std::int64_t seconds = member.entry.mtime_s + (member.mtime_ns >= 500'000'000 ? 1 : 0);
  if (seconds != 0) json["modtime"] = format_rfc3339(seconds);
}

Json entry_json(const TarMember& member) {
  const TarEntry& entry = member.entry;
  const bool directory = entry.type == EntryType::directory;
  Json json = {{"name", directory && !entry.name.ends_with('/') ? cat(entry.name, "/") : entry.name},
               {"type", type_name(entry.type)}};
  if (entry.type == EntryType::file) put_number(json, "size", entry.size);
  put_time(json, member);
  if (!entry.link_target.empty()) json["linkName"] = entry.link_target;
  put_number(json, "mode", entry.mode);
  put_number(json, "uid", entry.uid);
  put_number(json, "gid", entry.gid);
  put_number(json, "devMajor", entry.device_major);
  put_number(json, "devMinor", entry.device_minor);
  for (const sys::Xattr& xattr : entry.xattrs) json["xattrs"][xattr.name] = base64_encode(xattr.value);
  return json;
}

void put_piece(Json& json, const StargzPiece& piece) {
  put_number(json, "offset", piece.blob_offset);
  put_number(json, "chunkOffset", piece.file_offset);
  if (piece.size == kStargzPiece) json["chunkSize"] = piece.size;
  json["chunkDigest"] = piece.digest.str();
}

}  // namespace

std::string stargz_table(const std::deque<StargzEntry>& entries) {
  std::string out = R"({"version":1,"entries":[)";
  const auto put = [&](const Json& json) {
    if (out.back() != '[') out += ',';
    out += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  for (const StargzEntry& entry : entries) {
    Json json = entry_json(entry.member);
    if (entry.content) json["digest"] = entry.content->str();
    if (!entry.pieces.empty()) put_piece(json, entry.pieces.front());
    put(json);
    for (std::size_t i = 1; i < entry.pieces.size(); ++i) {
      Json piece = {{"name", entry.member.entry.name}, {"type", "chunk"}};
      put_piece(piece, entry.pieces[i]);
      put(piece);
    }
  }
  return out + "]}";
}

std::string stargz_footer(std::uint64_t table_at) {
  char place[17];
  std::snprintf(place, sizeof place, "%016llx", static_cast<unsigned long long>(table_at));
  // RFC 1952: deflate, an extra field of 26 bytes; then RFC 1951: an empty stored block, the last one.
  return cat(std::string_view("\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0", 16), place, "STARGZ",
             std::string_view("\x01\0\0\xff\xff\0\0\0\0\0\0\0\0", 13));
}

}  // namespace cbuild::oci::layer
