// SPDX-License-Identifier: Apache-2.0
#include "oci/erofs/erofs_inode.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::erofs {
namespace {

using layer::EntryType;
using layer::TableNode;

struct Prefix {
  std::string_view text;
  std::uint8_t index;
};
constexpr std::array<Prefix, 3> kPrefixes = {{{"user.", 1}, {"trusted.", 4}, {"security.", 6}}};
constexpr std::size_t kMaxXattrBytes = 4 * 65534;

void append_xattr(std::string& out, const sys::Xattr& xattr) {
  const auto prefix = std::find_if(kPrefixes.begin(), kPrefixes.end(),
                                   [&](const Prefix& known) { return xattr.name.starts_with(known.text); });
  if (prefix == kPrefixes.end() || xattr.value.size() > std::numeric_limits<std::uint16_t>::max())
    throw Error(ErrorCode::unsupported, cat("EROFS has no form for the xattr ", sanitize_for_terminal(xattr.name)));
  const std::string_view rest = std::string_view(xattr.name).substr(prefix->text.size());
  out += static_cast<char>(rest.size());
  out += static_cast<char>(prefix->index);
  out += static_cast<char>(xattr.value.size() & 0xff);
  out += static_cast<char>(xattr.value.size() >> 8);
  out += rest;
  out += xattr.value;
  out.resize(align_up(out.size(), kXattrEntrySize));
}

}  // namespace

std::string encode_xattrs(const TableNode& node) {
  if (node.xattrs.empty() && !node.opaque) return {};
  std::string out(kXattrHeaderSize, '\0');
  if (node.opaque) append_xattr(out, {"trusted.overlay.opaque", "y"});
  for (const sys::Xattr& xattr : node.xattrs) append_xattr(out, xattr);
  if (out.size() > kMaxXattrBytes) throw Error(ErrorCode::unsupported, "EROFS has no form for so many xattrs");
  return out;
}

std::uint32_t encode_device(const TableNode& node) {
  return (node.device_minor & 0xff) | (node.device_major << 8) | ((node.device_minor & ~0xffu) << 12);
}

std::uint8_t entry_type(EntryType type) {
  switch (type) {
    case EntryType::directory:
      return 2;
    case EntryType::char_device:
      return 3;
    case EntryType::block_device:
      return 4;
    case EntryType::fifo:
      return 5;
    case EntryType::symlink:
      return 7;
    case EntryType::file:
    case EntryType::hardlink:
      break;
  }
  return 1;
}

void write_inode(std::string& image, std::uint64_t at, const TableNode& node, const InodeFields& fields) {
  const auto format = static_cast<std::uint16_t>(kExtendedInode | (static_cast<unsigned>(fields.layout) << 1));
  const std::size_t units = fields.xattr_bytes == 0 ? 0 : (fields.xattr_bytes - kXattrHeaderSize) / kXattrEntrySize + 1;
  ImagePart(image, at)
      .put(0, format)
      .put(2, static_cast<std::uint16_t>(units))
      .put(4, static_cast<std::uint16_t>(type_bits(node.type) | node.mode))
      .put(8, fields.size)
      .put(16, fields.place)
      .put(20, fields.number)
      .put(24, node.uid)
      .put(28, node.gid)
      .put(32, static_cast<std::uint64_t>(node.mtime_s))
      .put(40, node.mtime_ns)
      .put(44, fields.links);
}

}  // namespace cbuild::oci::erofs
