// SPDX-License-Identifier: Apache-2.0
// What Extractor does by system calls is done here to a tree in memory, call by call, with the kernel's side effects:
// chown takes setuid bits and capabilities away, a directory's setgid bit gives its group to directories made in it,
// user.* xattrs stick to files and directories alone. table_test.cc compares both on every archive that this module's
// tests make.
#include "oci/layer/table_recorder.h"

#include <linux/capability.h>
#include <linux/limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"
#include "oci/layer/resolved_dirs.h"
#include "oci/layer/table_tree.h"
#include "oci/layer/whiteouts.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::string_view kCapabilityXattr = "security.capability";
constexpr std::uint64_t kMaxHashedHoles = 64u << 20;
constexpr mode_t kSymlinkMode = 0777;

bool is_valid_capability(std::string_view value) {
  std::uint32_t head = 0;
  if (value.size() != XATTR_CAPS_SZ_2 && value.size() != XATTR_CAPS_SZ_3) return value.empty();
  for (unsigned i = 0; i < 4; ++i) head |= std::uint32_t{static_cast<unsigned char>(value[i])} << (8 * i);
  const std::uint32_t revision = head & ~std::uint32_t{VFS_CAP_FLAGS_EFFECTIVE};
  return revision == (value.size() == XATTR_CAPS_SZ_2 ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3);
}

/// Whether the kernel takes this one for such an entry; throws where it would refuse in a way that ends an unpack.
bool sticks(const sys::Xattr& xattr, EntryType type) {
  const std::string& name = xattr.name;
  if (!may_set_xattr(name)) return false;
  const auto check = [&](bool valid) {
    if (!valid) throw Error(ErrorCode::corrupt, cat("invalid xattr ", sanitize_for_terminal(name)));
  };
  check(!name.empty() && name.size() <= XATTR_NAME_MAX && xattr.value.size() <= XATTR_SIZE_MAX);
  if (name.starts_with("user.")) {
    if (type != EntryType::file && type != EntryType::directory) return false;
    check(name != "user.");
    return true;
  }
  if (name == "system.posix_acl_access" || name == "system.posix_acl_default") return type != EntryType::symlink;
  if (!name.starts_with("security.")) return false;
  check(name != "security." && (name != kCapabilityXattr || is_valid_capability(xattr.value)));
  return true;
}

/// What chown(2) does besides to what is not a directory.
void drop_privileges(TableNode& node) {
  if (node.is_directory()) return;
  node.mode &= ~mode_t{S_ISUID};
  if ((node.mode & S_IXGRP) != 0) node.mode &= ~mode_t{S_ISGID};
  std::erase_if(node.xattrs, [](const sys::Xattr& xattr) { return xattr.name == kCapabilityXattr; });
}

void set_time(TableNode& node, std::int64_t seconds, std::int64_t nanoseconds) {
  node.mtime_s = seconds;
  node.mtime_ns = static_cast<std::uint32_t>(nanoseconds);
}

}  // namespace

struct TableRecorder::Impl {
  explicit Impl(const TableOptions& options_in) : options(options_in) {}

  struct LateDir {
    std::string path;
    mode_t mode;
    std::int64_t mtime_s, mtime_ns;
  };

  void whiteout(Marker marker, std::uint32_t parent, const std::string& name);
  void make(std::uint32_t parent, const std::string& name, const std::string& path, const TarMember& member);
  void make_directory(std::uint32_t parent, const std::string& name, const std::string& path, const TarMember& member);
  void make_hardlink(std::uint32_t parent, const std::string& name, const TarMember& member);
  void merge_xattrs(std::uint32_t node, const TarMember& member);
  TableNode fresh(const TarMember& member) const;
  void add_extent(TableNode& node, std::uint64_t file_offset, std::uint64_t archive_offset, std::uint64_t size);
  void hash(std::span<const std::byte> bytes, std::uint64_t file_offset);
  void finish_content();

  const TableOptions options;
  TableTree tree;
  std::vector<LateDir> late;
  std::uint32_t file = LayerTable::kNone;  ///< that data() belongs to
  std::optional<Sha256> sha;
  std::uint64_t hashed = 0, holes = 0;
  std::uint64_t entries = 0;
};

TableRecorder::TableRecorder(const TableOptions& options) : impl_(std::make_unique<Impl>(options)) {}
TableRecorder::~TableRecorder() = default;

void TableRecorder::add(const TarMember& member) {
  Impl& self = *impl_;
  self.finish_content();
  if (++self.entries > kMaxEntries) throw Error(ErrorCode::corrupt, cat("more than ", kMaxEntries, " entries"));
  const std::string path = clean_member_name(member.entry.name);
  if (path.empty()) return;  // the root belongs to the caller
  const Marker marker = marker_of(path);
  if (marker == Marker::ignored) return;
  const auto [parent_path, name] = split_path(path);
  const std::uint32_t parent = self.tree.make_directory(parent_path);
  if (marker != Marker::none) {
    self.whiteout(marker, parent, name);
  } else {
    self.make(parent, name, path, member);
  }
}

/// What is of this layer stays, before and behind; see WhiteoutRules.
void TableRecorder::Impl::whiteout(Marker marker, std::uint32_t parent, const std::string& name) {
  if (marker == Marker::opaque) {
    tree.node(parent).opaque = true;
    return;
  }
  const std::string hidden = name.substr(kWhiteoutPrefix.size());
  const std::uint32_t old = tree.child(parent, hidden);
  if (old != LayerTable::kNone) {
    if (tree.node(old).is_directory()) tree.node(old).opaque = true;
    return;
  }
  TableNode mark;
  mark.type = EntryType::char_device;
  mark.gid = inherited_group(tree.node(parent));
  mark.implied = true;
  tree.make(parent, hidden, std::move(mark));
}

TableNode TableRecorder::Impl::fresh(const TarMember& member) const {
  const TarEntry& entry = member.entry;
  TableNode out;
  out.type = entry.type;
  out.mode = entry.type == EntryType::symlink ? kSymlinkMode : entry.mode;
  out.uid = static_cast<std::uint32_t>(entry.uid);
  out.gid = static_cast<std::uint32_t>(entry.gid);
  set_time(out, entry.mtime_s, member.mtime_ns);
  out.device_major = entry.device_major;
  out.device_minor = entry.device_minor;
  if (entry.type == EntryType::file) out.size = entry.size;
  if (entry.type == EntryType::symlink) out.link_target = entry.link_target;
  return out;
}

void TableRecorder::Impl::make(std::uint32_t parent, const std::string& name, const std::string& path,
                               const TarMember& member) {
  const TarEntry& entry = member.entry;
  if (entry.type == EntryType::directory) return make_directory(parent, name, path, member);
  if (entry.type == EntryType::hardlink) return make_hardlink(parent, name, member);
  if (entry.type == EntryType::file && entry.size > options.max_bytes)
    throw Error(ErrorCode::corrupt, cat("file of ", entry.size, " bytes, allowed are ", options.max_bytes));
  if (entry.type == EntryType::symlink && (entry.link_target.empty() || entry.link_target.size() >= PATH_MAX))
    throw Error(ErrorCode::corrupt, "symlink with an invalid target");
  if (tree.child(parent, name) != LayerTable::kNone) tree.remove(parent, name);
  tree.charge(entry.link_target.size());
  const std::uint32_t node = tree.make(parent, name, fresh(member));
  merge_xattrs(node, member);
  if (entry.type != EntryType::file) return;
  file = node;
  if (options.content_digests) sha.emplace();
}

void TableRecorder::Impl::make_directory(std::uint32_t parent, const std::string& name, const std::string& path,
                                         const TarMember& member) {
  std::uint32_t node = tree.child(parent, name);
  bool opaque = false;
  if (node != LayerTable::kNone && !tree.node(node).is_directory()) {
    opaque = tree.node(node).is_whiteout();
    tree.remove(parent, name);
    node = LayerTable::kNone;
  }
  if (node == LayerTable::kNone) {
    node = tree.make(parent, name, fresh(member));
    tree.node(node).opaque = opaque;
  }
  TableNode& value = tree.node(node);
  value.mode = member.entry.mode | S_IRWXU;  // until finish(), if its name still leads here then
  value.uid = static_cast<std::uint32_t>(member.entry.uid);
  value.gid = static_cast<std::uint32_t>(member.entry.gid);
  value.implied = false;
  set_time(value, member.entry.mtime_s, member.mtime_ns);
  merge_xattrs(node, member);
  tree.charge(path.size() + sizeof(LateDir));
  late.push_back({path, member.entry.mode, member.entry.mtime_s, member.mtime_ns});
}

void TableRecorder::Impl::make_hardlink(std::uint32_t parent, const std::string& name, const TarMember& member) {
  const std::string shown = sanitize_for_terminal(member.entry.link_target);
  const auto [other_path, other_name] = split_path(clean_member_name(member.entry.link_target));
  const std::uint32_t other = tree.find_directory(other_path);
  const auto target_of = [&] {
    return other == LayerTable::kNone || other_name.empty() ? LayerTable::kNone : tree.child(other, other_name);
  };
  const std::uint32_t target = target_of();
  if (target == LayerTable::kNone) throw Error(ErrorCode::corrupt, cat("hard link to ", shown, ", which is not there"));
  if (tree.node(target).is_directory()) throw Error(ErrorCode::corrupt, cat("hard link to the directory ", shown));
  const std::uint32_t old = tree.child(parent, name);
  if (old != target) {
    if (old != LayerTable::kNone) tree.remove(parent, name);
    // It may have been below what was removed.
    if (target_of() != target) throw Error(ErrorCode::corrupt, cat("hard link to ", shown, ", whose place it takes"));
    tree.link(parent, name, target);
  }
  TableNode& value = tree.node(target);
  const auto uid = static_cast<std::uint32_t>(member.entry.uid), gid = static_cast<std::uint32_t>(member.entry.gid);
  if (value.uid != uid || value.gid != gid) drop_privileges(value);
  value.uid = uid;
  value.gid = gid;
  if (value.type == EntryType::file) {
    merge_xattrs(target, member);
    value.mode = member.entry.mode;
  }
  set_time(value, member.entry.mtime_s, member.mtime_ns);
  value.implied = false;
}

void TableRecorder::Impl::merge_xattrs(std::uint32_t node, const TarMember& member) {
  std::vector<sys::Xattr>& xattrs = tree.node(node).xattrs;
  for (const sys::Xattr& xattr : member.entry.xattrs) {
    if (!sticks(xattr, tree.node(node).type)) continue;
    tree.charge(xattr.name.size() + xattr.value.size());
    const auto at =
        std::lower_bound(xattrs.begin(), xattrs.end(), xattr.name,
                         [](const sys::Xattr& entry, const std::string& name) { return entry.name < name; });
    if (at != xattrs.end() && at->name == xattr.name) {
      at->value = xattr.value;
    } else {
      xattrs.insert(at, xattr);
    }
  }
}

void TableRecorder::data(std::span<const std::byte> bytes, std::uint64_t file_offset, std::uint64_t archive_offset) {
  if (impl_->file == LayerTable::kNone || bytes.empty()) return;
  impl_->add_extent(impl_->tree.node(impl_->file), file_offset, archive_offset, bytes.size());
  impl_->hash(bytes, file_offset);
}

void TableRecorder::Impl::add_extent(TableNode& node, std::uint64_t file_offset, std::uint64_t archive_offset,
                                     std::uint64_t size) {
  if (!node.extents.empty()) {
    TableExtent& last = node.extents.back();
    if (last.file_offset + last.size == file_offset && last.archive_offset + last.size == archive_offset) {
      last.size += size;
      return;
    }
  }
  tree.charge(sizeof(TableExtent));
  node.extents.push_back({file_offset, archive_offset, size});
}

void TableRecorder::Impl::hash(std::span<const std::byte> bytes, std::uint64_t file_offset) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  if (!sha) return;
  holes += file_offset - hashed;
  if (holes > kMaxHashedHoles) return sha.reset();
  for (; hashed < file_offset; hashed += std::min<std::uint64_t>(kZeros.size(), file_offset - hashed))
    sha->update(std::span(kZeros).first(std::min<std::uint64_t>(kZeros.size(), file_offset - hashed)));
  sha->update(bytes);
  hashed += bytes.size();
}

/// The digest of the file that data() was about.
void TableRecorder::Impl::finish_content() {
  const std::uint32_t node = std::exchange(file, LayerTable::kNone);
  if (node != LayerTable::kNone) hash({}, tree.node(node).size);
  if (sha) tree.node(node).content = sha->finish();
  sha.reset();
  hashed = holes = 0;
}

LayerTable TableRecorder::finish() {
  impl_->finish_content();
  for (const Impl::LateDir& late : std::exchange(impl_->late, {})) {
    const auto [parent_path, name] = split_path(late.path);
    const std::uint32_t parent = impl_->tree.find_directory(parent_path);
    const std::uint32_t node = parent == LayerTable::kNone ? parent : impl_->tree.child(parent, name);
    if (node == LayerTable::kNone || !impl_->tree.node(node).is_directory()) continue;  // something else took its place
    impl_->tree.node(node).mode = late.mode;
    set_time(impl_->tree.node(node), late.mtime_s, late.mtime_ns);
  }
  return impl_->tree.take();
}

void record_member(TableRecorder& recorder, const TarMember& member, TarReader& reader) {
  recorder.add(member);
  if (member.entry.type != EntryType::file || !member.has_data) return;
  std::span<const std::byte> bytes;
  std::uint64_t offset = 0;
  while (reader.data(bytes, offset)) recorder.data(bytes, offset, reader.position());
}

LayerTable read_table(ByteSource source, const TableOptions& options, const PassOptions& pass) {
  TableRecorder recorder(options);
  const UnpackResult result = read_members(std::move(source), pass, [&](const TarMember& member, TarReader& reader) {
    record_member(recorder, member, reader);
  });
  LayerTable table = recorder.finish();
  table.diff_id = result.diff_id;
  table.archive_size = result.archive_size;
  return table;
}

}  // namespace cbuild::oci::layer
