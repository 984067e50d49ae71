// SPDX-License-Identifier: Apache-2.0
// Nodes follow each other in the table's own order, each directory with the names of its children. A child is either
// the next node that was not named yet, which costs one byte, or another name of one that was; so nothing but a tree
// can be written at all, and only the other fields have to be checked when it is read.
#include "oci/layer/table_codec.h"

#include <limits.h>
#include <linux/limits.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::string_view kTableMagic{"cbtable\x01", 8};
constexpr std::size_t kDigestSize = sizeof(Digest::bytes);
constexpr std::uint64_t kMaxDecoded = 1ull << 29;
constexpr std::uint8_t kTypeBits = 7, kImplied = 8, kOpaque = 16, kXattrs = 32, kContent = 64;

class TableWriter {
 public:
  void byte(std::uint8_t value) { out_ += static_cast<char>(value); }
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    byte(static_cast<std::uint8_t>(value));
  }
  void signed_number(std::int64_t value) {
    number((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }
  void bytes(std::string_view value) { out_ += value; }
  void text(std::string_view value) {
    number(value.size());
    bytes(value);
  }
  void digest(const Digest& value) { bytes({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()}); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

[[noreturn]] void fail(std::string_view why) { throw Error(ErrorCode::corrupt, cat("broken table of a layer: ", why)); }
void require(bool valid, std::string_view why) {
  if (!valid) fail(why);
}

class TableBytes {
 public:
  explicit TableBytes(std::string_view bytes) : left_(bytes) {}
  bool empty() const { return left_.empty(); }

  std::string_view bytes(std::uint64_t count) {
    require(count <= left_.size(), "it is cut off");
    const std::string_view out = left_.substr(0, count);
    left_.remove_prefix(count);
    return out;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(bytes(1)[0]); }
  std::uint64_t number(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t out = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint8_t next = byte();
      require(shift < 63 || next <= 1, "a number is too long");
      out |= std::uint64_t{next & 0x7fu} << shift;
      if ((next & 0x80) == 0) break;
    }
    require(out <= max, "a number is too large");
    return out;
  }
  std::uint32_t number32() { return static_cast<std::uint32_t>(number(std::numeric_limits<std::uint32_t>::max())); }
  std::int64_t signed_number() {
    const std::uint64_t value = number();
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }
  std::string text(std::uint64_t max) { return std::string(bytes(number(max))); }
  Digest digest() {
    Digest out;
    std::memcpy(out.bytes.data(), bytes(kDigestSize).data(), kDigestSize);
    return out;
  }

 private:
  std::string_view left_;
};

void write_file(TableWriter& out, const TableNode& node) {
  out.number(node.size);
  out.number(node.extents.size());
  std::uint64_t file_end = 0;
  for (const TableExtent& extent : node.extents) {
    out.number(extent.file_offset - file_end);
    out.number(extent.size);
    out.number(extent.archive_offset);
    file_end = extent.file_offset + extent.size;
  }
}

void write_children(TableWriter& out, const LayerTable& table, const TableNode& node, std::uint32_t& named) {
  out.number(node.children);
  std::string_view before;
  for (const TableName& child : table.children(node)) {
    const auto differs = std::mismatch(before.begin(), before.end(), child.name.begin(), child.name.end());
    const auto shared = static_cast<std::size_t>(differs.first - before.begin());
    out.number(shared);
    out.text(std::string_view(child.name).substr(shared));
    out.number(child.node == named ? 0 : child.node);
    if (child.node == named) ++named;
    before = child.name;
  }
}

void write_xattrs(TableWriter& out, const TableNode& node) {
  if (node.xattrs.empty()) return;
  out.number(node.xattrs.size());
  for (const sys::Xattr& xattr : node.xattrs) {
    out.text(xattr.name);
    out.text(xattr.value);
  }
}

void write_node(TableWriter& out, const LayerTable& table, const TableNode& node, std::uint32_t& named) {
  out.byte(static_cast<std::uint8_t>(static_cast<unsigned>(node.type) | (node.implied ? kImplied : 0u) |
                                     (node.opaque ? kOpaque : 0u) | (node.xattrs.empty() ? 0u : kXattrs) |
                                     (node.content ? kContent : 0u)));
  out.number(node.mode);
  out.number(node.uid);
  out.number(node.gid);
  out.signed_number(node.mtime_s);
  out.number(node.mtime_ns);
  write_xattrs(out, node);
  if (node.content) out.digest(*node.content);
  if (node.type == EntryType::file) write_file(out, node);
  if (node.is_directory()) write_children(out, table, node, named);
  if (node.type == EntryType::symlink) out.text(node.link_target);
  if (node.type == EntryType::char_device || node.type == EntryType::block_device) {
    out.number(node.device_major);
    out.number(node.device_minor);
  }
}

class TableDecoder {
 public:
  explicit TableDecoder(std::string_view bytes) : in_(bytes) {}
  LayerTable decode();

 private:
  void charge(std::uint64_t bytes);
  TableNode node();
  void read_xattrs(TableNode& node);
  void read_file(TableNode& node);
  void read_children(TableNode& node);
  void read_name(std::string& name);
  void count_names();

  TableBytes in_;
  LayerTable table_;
  std::uint32_t total_ = 0, named_ = 1;
  std::uint64_t charged_ = 0;
};

void TableDecoder::charge(std::uint64_t bytes) {
  charged_ += bytes;
  require(charged_ <= kMaxDecoded, "it is too large");
}

void TableDecoder::read_xattrs(TableNode& node) {
  const std::uint64_t count = in_.number();
  require(count > 0, "no xattrs");
  for (std::uint64_t i = 0; i < count; ++i) {
    sys::Xattr xattr{in_.text(XATTR_NAME_MAX), in_.text(XATTR_SIZE_MAX)};
    require(may_set_xattr(xattr.name) && !xattr.name.empty() && xattr.name.find('\0') == std::string::npos,
            "an xattr that layers do not have");
    require(node.xattrs.empty() || node.xattrs.back().name < xattr.name, "the order of xattrs");
    charge(sizeof xattr + xattr.name.size() + xattr.value.size());
    node.xattrs.push_back(std::move(xattr));
  }
}

void TableDecoder::read_file(TableNode& node) {
  node.size = in_.number(std::numeric_limits<std::int64_t>::max());
  std::uint64_t end = 0;
  for (std::uint64_t left = in_.number(); left > 0; --left) {
    TableExtent extent;
    const std::uint64_t gap = in_.number(node.size - end);
    extent.file_offset = end + gap;
    extent.size = in_.number(node.size - extent.file_offset);
    extent.archive_offset = in_.number(table_.archive_size);
    require(extent.size > 0 && extent.size <= table_.archive_size - extent.archive_offset,
            "content outside of the layer");
    end = extent.file_offset + extent.size;
    charge(sizeof extent);
    node.extents.push_back(extent);
  }
}

void TableDecoder::read_name(std::string& name) {
  const std::string before = name;
  name.resize(in_.number(before.size()));
  name += in_.text(NAME_MAX);
  require(!name.empty() && name.size() <= NAME_MAX && name != "." && name != "..", "a name");
  require(name.find('/') == std::string::npos && name.find('\0') == std::string::npos, "a name");
  require(before < name, "the order of names");
}

void TableDecoder::read_children(TableNode& node) {
  node.children = in_.number32();
  node.first_child = static_cast<std::uint32_t>(table_.names.size());
  std::string name;
  for (std::uint32_t i = 0; i < node.children; ++i) {
    read_name(name);
    const std::uint32_t reference = in_.number32();
    require(reference == 0 ? named_ < total_ : reference < named_, "a name of nothing");
    charge(sizeof(TableName) + name.size());
    table_.names.push_back({name, reference == 0 ? named_++ : reference});
  }
}

TableNode TableDecoder::node() {
  const std::uint8_t flags = in_.byte();
  TableNode out;
  require((flags & kTypeBits) <= static_cast<unsigned>(EntryType::block_device) && (flags & 0x80) == 0, "a type");
  out.type = static_cast<EntryType>(flags & kTypeBits);
  require(out.type != EntryType::hardlink, "a type");
  out.implied = (flags & kImplied) != 0;
  out.opaque = (flags & kOpaque) != 0;
  require(!out.opaque || out.is_directory(), "an opaque file");
  out.mode = static_cast<mode_t>(in_.number(07777));
  out.uid = in_.number32();
  out.gid = in_.number32();
  out.mtime_s = in_.signed_number();
  out.mtime_ns = static_cast<std::uint32_t>(in_.number(999'999'999));
  if ((flags & kXattrs) != 0) read_xattrs(out);
  require((flags & kContent) == 0 || out.type == EntryType::file, "content of no file");
  if ((flags & kContent) != 0) out.content = in_.digest();
  if (out.type == EntryType::file) read_file(out);
  if (out.is_directory()) read_children(out);
  if (out.type == EntryType::symlink) {
    out.link_target = in_.text(PATH_MAX - 1);
    require(!out.link_target.empty() && out.link_target.find('\0') == std::string::npos, "a target of a link");
  }
  if (out.type == EntryType::char_device || out.type == EntryType::block_device) {
    out.device_major = static_cast<std::uint32_t>(in_.number((1u << 12) - 1));
    out.device_minor = static_cast<std::uint32_t>(in_.number((1u << 20) - 1));
  }
  charge(sizeof out + out.link_target.size());
  return out;
}

void TableDecoder::count_names() {
  for (const TableName& name : table_.names) ++table_.nodes[name.node].names;
  for (const TableNode& node : table_.nodes)
    require(!node.is_directory() || node.names <= 1, "a directory with two names");
}

LayerTable TableDecoder::decode() {
  table_.diff_id = in_.digest();
  table_.archive_size = in_.number();
  total_ = in_.number32();
  for (std::uint32_t i = 0; i < total_; ++i) {
    require(i < named_, "a node without a name");
    table_.nodes.push_back(node());
    require(i > 0 || table_.nodes[0].is_directory(), "a root that is not a directory");
  }
  require(in_.empty() && total_ > 0 && named_ == total_, "its length");
  count_names();
  return std::move(table_);
}

}  // namespace

std::string encode_table(const LayerTable& table) {
  TableWriter out;
  out.bytes(kTableMagic);
  out.digest(table.diff_id);
  out.number(table.archive_size);
  out.number(table.nodes.size());
  std::uint32_t named = 1;
  for (const TableNode& node : table.nodes) write_node(out, table, node, named);
  std::string bytes = out.take();
  TableWriter end;
  end.digest(sha256(bytes));
  return bytes + end.take();
}

LayerTable decode_table(std::string_view bytes) {
  require(bytes.starts_with(kTableMagic), "another version");
  require(bytes.size() >= kTableMagic.size() + kDigestSize, "it is cut off");
  const std::string_view covered = bytes.substr(0, bytes.size() - kDigestSize);
  require(TableBytes(bytes.substr(covered.size())).digest() == sha256(covered), "another digest");
  return TableDecoder(covered.substr(kTableMagic.size())).decode();
}

}  // namespace cbuild::oci::layer
