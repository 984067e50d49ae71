// SPDX-License-Identifier: Apache-2.0
// Both formats list the members of the archive as JSON, with the place and digest of each piece of a file. The list
// goes through the same rules as an archive (TableRecorder); one in which a name would not end up where it stands
// (links on the way, names given twice) is left, because then it would not be certain which piece belongs to which
// file.
#include "oci/layer/foreign_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/layer/entry_rules.h"
#include "oci/layer/foreign_toc.h"
#include "oci/layer/table_recorder.h"

namespace cbuild::oci::layer {

namespace {

constexpr std::uint64_t kMaxChunk = 16u << 20;
constexpr std::size_t kMaxChunks = 1u << 20;

/// What does not fit leaves as this, and never further.
[[noreturn]] void refuse(std::string_view why) { throw Error(ErrorCode::corrupt, std::string(why)); }

std::uint64_t number(const nlohmann::json& entry, const char* key) {
  const std::int64_t value = json::integer(entry, key);
  if (value < 0) refuse("a negative number");
  return static_cast<std::uint64_t>(value);
}

std::optional<EntryType> type_of(const std::string& name) {
  static const std::map<std::string, EntryType> kTypes = {
      {"dir", EntryType::directory},     {"reg", EntryType::file},         {"symlink", EntryType::symlink},
      {"hardlink", EntryType::hardlink}, {"char", EntryType::char_device}, {"block", EntryType::block_device},
      {"fifo", EntryType::fifo}};
  const auto found = kTypes.find(name);
  return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

/// Text that was no UTF-8 in the archive is another one in JSON, and JSON can hold what no archive can.
std::string exact(std::string text) {
  if (text.find("\uFFFD") != std::string::npos) refuse("a text that JSON cannot hold");
  if (text.find('\0') != std::string::npos) refuse("a text that an archive cannot hold");
  return text;
}

TarMember member_of(const nlohmann::json& entry, EntryType type) {
  TarMember member;
  TarEntry& out = member.entry;
  out.name = exact(json::text(entry, "name"));
  out.link_target = exact(json::text(entry, "linkName"));
  out.type = type;
  out.mode = static_cast<mode_t>(number(entry, "mode") & 07777);
  set_owner(out, json::integer(entry, "uid"), json::integer(entry, "gid"));
  out.size = type == EntryType::file ? number(entry, "size") : 0;
  set_device(out, number(entry, "devMajor"), number(entry, "devMinor"));
  if (const std::string time = json::text(entry, "modtime"); !time.empty()) {
    const auto ns = parse_rfc3339_ns(time);
    if (!ns || *ns < 0) refuse("an invalid time");
    out.mtime_s = *ns / 1'000'000'000;
    member.mtime_ns = *ns % 1'000'000'000;
  }
  for (const auto& [name, value] : json::text_map(entry, "xattrs")) {
    const auto bytes = base64_decode(value);
    if (!bytes) refuse("an invalid xattr");
    out.xattrs.push_back({exact(name), *bytes});
  }
  member.has_data = out.size > 0;
  return member;
}

/// One regular file of the list, and where it has to end up.
struct ListedFile {
  std::string path;
  std::uint64_t size = 0;
  std::optional<Digest> content;
  std::vector<ForeignChunk> chunks = {};
  bool whole = true;  ///< all of its pieces are known
};

class TocReader {
 public:
  ForeignTable read(const std::string& document, std::uint64_t end, bool listed) {
    const nlohmann::json rest = json::parse_list(document, kMaxToc, "table of contents", "entries",
                                                 [this](const nlohmann::json& entry) { add(entry); });
    if (json::integer(rest, "version") != 1) refuse("another version");
    if (listed) add_list(document);
    ends_.insert(end);
    ForeignTable out{recorder_.finish(), {}};
    for (const auto& [path, type] : paths_) check(out.table, path, type);
    for (ListedFile& file : files_) place(out, file);
    return out;
  }

 private:
  void add(const nlohmann::json& entry) {
    const std::string kind = json::text(entry, "type");
    if (kind == "chunk") return add_chunk(entry);
    const auto type = type_of(kind);
    if (!type) refuse("an unknown type");
    const TarMember member = member_of(entry, *type);
    const std::string path = clean_member_name(member.entry.name);
    open_ = false;
    if (path.substr(path.rfind('/') + 1).starts_with(kWhiteoutPrefix)) return recorder_.add(member);
    if (!paths_.emplace(path, *type).second) refuse("a name that is given twice");
    recorder_.add(member);
    open_ = *type == EntryType::file;
    if (!open_) return;
    files_.push_back({path, member.entry.size, Digest::parse(json::text(entry, "digest"))});
    if (member.entry.size > 0) add_chunk(entry);
  }

  /// A file has its first piece itself.
  void add_chunk(const nlohmann::json& entry) {
    if (!open_) refuse("a piece of no file");
    if (++chunks_ > kMaxChunks) refuse("too many pieces");
    ListedFile& file = files_.back();
    ForeignChunk chunk;
    chunk.blob_offset = number(entry, "offset");
    chunk.skipped = number(entry, "innerOffset");
    chunk.file_offset = number(entry, "chunkOffset");
    chunk.size = number(entry, "chunkSize");
    if (chunk.file_offset > file.size) refuse("a piece behind the end of its file");
    if (chunk.size == 0) chunk.size = file.size - chunk.file_offset;
    auto digest = Digest::parse(json::text(entry, "chunkDigest"));
    if (!digest && chunk.size == file.size) digest = file.content;
    if (digest) chunk.digest = *digest;
    const std::uint64_t expected = file.chunks.empty() ? 0 : file.chunks.back().file_offset + file.chunks.back().size;
    const std::string kind = json::text(entry, "chunkType");
    file.whole &= digest && chunk.file_offset == expected && chunk.size <= kMaxChunk && chunk.skipped <= kMaxChunk &&
                  (kind.empty() || kind == "data");
    ends_.insert(chunk.blob_offset);
    file.chunks.push_back(chunk);
  }

  /// The list is a file of the archive, too, but cannot list itself.
  void add_list(const std::string& json) {
    TarMember member;
    member.entry.name = kStargzName;  // all else is 0 in its header
    member.entry.size = json.size();
    member.has_data = true;
    if (!paths_.emplace(kStargzName, EntryType::file).second) refuse("a name that is given twice");
    recorder_.add(member);
    files_.push_back({kStargzName, json.size(), sha256(json), {}, false});
  }

  static void check(const LayerTable& table, const std::string& path, EntryType type) {
    const std::uint32_t node = table.find(path);
    const EntryType found = node == LayerTable::kNone ? EntryType::hardlink : table.nodes[node].type;
    if (node == LayerTable::kNone || (type != EntryType::hardlink && found != type))
      refuse("a name that leads elsewhere");
  }

  void place(ForeignTable& out, ListedFile& file) const {
    const std::uint32_t index = out.table.find(file.path);
    TableNode& node = out.table.nodes[index];
    if (node.type != EntryType::file || node.size != file.size) refuse("a file that is another one");
    node.content = file.size > 0 ? file.content : std::nullopt;
    const ForeignChunk* last = file.chunks.empty() ? nullptr : &file.chunks.back();
    if (!file.whole || (last ? last->file_offset + last->size : 0) != file.size) return;
    if (!file.content && file.size > 0) return;
    for (ForeignChunk& chunk : file.chunks) {
      const auto end = ends_.upper_bound(chunk.blob_offset);
      if (end == ends_.end() || *end - chunk.blob_offset > 2 * kMaxChunk) return;
      chunk.blob_end = *end;
    }
    out.chunks.emplace(index, std::move(file.chunks));
  }

  TableRecorder recorder_{{}};
  std::map<std::string, EntryType> paths_;
  std::vector<ListedFile> files_;
  std::set<std::uint64_t> ends_;
  std::size_t chunks_ = 0;
  bool open_ = false;  ///< the entry before is a file, whose pieces may follow
};

}  // namespace

ForeignTable parse_foreign_table(const std::string& document, std::uint64_t end, bool listed) {
  return TocReader().read(document, end, listed);
}

std::optional<ForeignTable> read_foreign_table(const Descriptor& layer, const ReadRange& read) {
  try {
    const auto toc = read_toc(layer, read);
    if (!toc) return std::nullopt;
    const auto ended = toc->listed ? ends_before_table(*toc, read) : true;
    if (!ended) return std::nullopt;
    return parse_foreign_table(toc->document, toc->offset, !*ended);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
    return std::nullopt;
  }
}

}  // namespace cbuild::oci::layer
