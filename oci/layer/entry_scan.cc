// SPDX-License-Identifier: Apache-2.0
// A file costs open, fstat, flistxattr, read and close. The xattr call on the descriptor that is needed for reading
// anyway is cheaper than any call by name (llistxattr through /proc, listxattrat), and where there are none it is a
// look at the inode.
#include "oci/layer/entry_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "oci/layer/kept_xattrs.h"

namespace cbuild::oci::layer {
namespace {

constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr off_t kReadAhead = 4 << 20;  ///< of a large file, before its turn comes

/// As it ought to be, where the tree has side metadata.
void take_stat(ScannedEntry& out, struct stat& st, const ScanRules& rules) {
  if (rules.side) rules.side->correct(out.header.name, st);
  out.header.mode = st.st_mode & 07777;
  out.header.uid = st.st_uid;
  out.header.gid = st.st_gid;
  out.header.mtime_s = st.st_mtim.tv_sec;
  out.links = S_ISDIR(st.st_mode) ? 1 : st.st_nlink;
  out.device = st.st_dev;
  out.inode = st.st_ino;
}

/// Those that the file system does not have.
void add_xattrs(std::vector<sys::Xattr>& to, const std::vector<sys::Xattr>& more) {
  if (more.empty()) return;
  to.insert(to.end(), more.begin(), more.end());
  to = layer_xattrs(std::move(to));
}

void take_xattrs(ScannedEntry& out, int fd, const ScanRules& rules) {
  KeptXattrs found = read_kept_xattrs(fd, out.header.name);
  if (rules.overlay && !found.refused.empty()) {
    throw Error(ErrorCode::unsupported, cat(out.header.name, ": has the overlay attribute ", found.refused))
        .with_hint("mount the overlay with redirect_dir=off,metacopy=off");
  }
  out.header.xattrs = std::move(found.kept);
  const SideEntry* side = rules.side ? rules.side->find(out.header.name) : nullptr;
  if (side != nullptr) add_xattrs(out.header.xattrs, side->wanted.xattrs);
  out.opaque = rules.overlay && found.opaque && out.header.type == EntryType::directory;
}

void scan_directory(ScannedEntry& out, int fd, const ScanRules& rules) {
  out.header.type = EntryType::directory;
  struct stat st;
  if (fstat(fd, &st) != 0) throw_errno(errno, out.header.name);
  take_stat(out, st, rules);
  take_xattrs(out, fd, rules);
}

struct stat stat_file(const ScannedEntry& out, int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) throw_errno(errno, out.header.name);
  if (!S_ISREG(st.st_mode)) throw Error(ErrorCode::io, out.header.name + ": changed while it was read");
  return st;
}

/// The content of a small file, which begins at `offset`; a large one will be read later.
void load_content(ScannedEntry& out, int fd, std::uint64_t offset, std::size_t& budget) {
  if (out.links > 1 || out.header.size == 0) return;
  if (out.header.size > kSmallFile || out.header.size > budget) {
    posix_fadvise(fd, static_cast<off_t>(offset), kReadAhead, POSIX_FADV_WILLNEED);
    return;
  }
  const std::size_t size = static_cast<std::size_t>(out.header.size);
  budget -= size;
  out.data.reserve(size);
  read_exactly(fd, out.data.room().first(size), offset, out.header.name);
  out.data.advance(size);
  out.data_loaded = true;
}

/// The size, and the content of a small file.
void take_content(ScannedEntry& out, int fd, const struct stat& st, std::size_t& budget) {
  out.header.size = static_cast<std::uint64_t>(st.st_size);
  out.sparse = static_cast<std::uint64_t>(st.st_blocks) * 512 < out.header.size;
  load_content(out, fd, 0, budget);
}

void take_device(ScannedEntry& out, const struct stat& st) {
  out.header.type = S_ISCHR(st.st_mode)   ? EntryType::char_device
                    : S_ISBLK(st.st_mode) ? EntryType::block_device
                                          : EntryType::fifo;
  out.header.device_major = major(st.st_rdev);
  out.header.device_minor = minor(st.st_rdev);
}

void scan_file(ScannedEntry& out, const ScanRules& rules, std::size_t& budget) {
  const UniqueFd fd = open_scanned(out);
  struct stat st = stat_file(out, fd.get());
  take_stat(out, st, rules);
  if (!S_ISREG(st.st_mode)) return take_device(out, st);
  take_xattrs(out, fd.get(), rules);
  take_content(out, fd.get(), st, budget);
}

struct stat stat_name(ScannedEntry& out, const ScanRules& rules) {
  struct stat st;
  if (fstatat(out.parent->get(), out.name(), &st, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, out.header.name);
  take_stat(out, st, rules);
  return st;
}

void scan_symlink(ScannedEntry& out, const ScanRules& rules) {
  out.header.type = EntryType::symlink;
  stat_name(out, rules);
  out.header.mode = 0777;
  std::array<char, PATH_MAX> target;
  const ssize_t size = readlinkat(out.parent->get(), out.name(), target.data(), target.size());
  if (size < 0) throw_errno(errno, out.header.name);
  out.header.link_target.assign(target.data(), static_cast<std::size_t>(size));
}

void scan_device(ScannedEntry& out, const ScanRules& rules) {
  const struct stat st = stat_name(out, rules);
  take_device(out, st);
  if (rules.overlay && is_whiteout(st)) out.role = ScannedEntry::Role::whiteout;
}

/// layer.md has no form for sockets.
void scan_socket(ScannedEntry& out, const ScanRules& rules) {
  const bool whiteout = rules.overlay && is_whiteout(stat_name(out, rules));
  out.role = whiteout ? ScannedEntry::Role::whiteout : ScannedEntry::Role::skipped;
}

}  // namespace

UniqueFd open_scanned(const ScannedEntry& entry) {
  int fd = -1;
  do {
    fd = openat(entry.parent->get(), entry.name(), kFileFlags);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw_errno(errno, entry.header.name);
  return UniqueFd(fd);
}

void read_exactly(int fd, std::span<std::byte> room, std::uint64_t offset, const std::string& path) {
  if (sys::pread_all(fd, room, offset, path) < room.size())
    throw Error(ErrorCode::io, path + ": became shorter while it was read");
}

ScannedEntry scan_entry(WalkEntry&& found, const ScanRules& rules, std::size_t& budget) {
  ScannedEntry out;
  out.header.name = std::move(found.path);
  out.name_at = found.name_at;
  out.parent = std::move(found.parent);
  switch (found.d_type) {
    case DT_DIR:
      scan_directory(out, found.self->get(), rules);
      break;
    case DT_REG:
      scan_file(out, rules, budget);
      break;
    case DT_LNK:
      scan_symlink(out, rules);
      break;
    case DT_CHR:
    case DT_BLK:
    case DT_FIFO:
      scan_device(out, rules);
      break;
    default:
      scan_socket(out, rules);
      break;
  }
  return out;
}

ScannedEntry scan_planned(PlannedEntry&& planned, std::size_t& budget) {
  ScannedEntry out;
  out.header = std::move(planned.header);
  if (planned.link_group != 0) out.links = 2;
  out.inode = planned.link_group;
  if (out.header.type != EntryType::file) return out;
  if (planned.file) {
    out.file = std::move(planned.file);
    out.file_offset = planned.file_offset;
    load_content(out, out.file->get(), out.file_offset, budget);
    return out;
  }
  if (!planned.directory) {
    out.header.size = planned.content.size();
    out.data.reserve(planned.content.size());
    if (!planned.content.empty()) std::memcpy(out.data.room().data(), planned.content.data(), planned.content.size());
    out.data.advance(planned.content.size());
    out.data_loaded = true;
    return out;
  }
  out.parent = std::move(planned.directory);
  out.source_name = std::move(planned.source_name);
  const UniqueFd fd = open_scanned(out);
  const struct stat st = stat_file(out, fd.get());
  std::vector<sys::Xattr> more = std::move(out.header.xattrs);
  take_xattrs(out, fd.get(), ScanRules{.overlay = false});
  add_xattrs(out.header.xattrs, more);
  take_content(out, fd.get(), st, budget);
  return out;
}

}  // namespace cbuild::oci::layer
