// SPDX-License-Identifier: Apache-2.0
// The order of the calls on one file matters: chown takes setuid bits and capabilities away, so it comes before both;
// writing takes capabilities away, so content comes first of all; chmod last but the times.
#include "oci/layer/extract.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

constexpr int kNewFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t kOwnerAll = 0700;

timespec mtime_of(const TarMember& member) {
  return {static_cast<time_t>(member.entry.mtime_s), static_cast<long>(member.mtime_ns)};
}

void set_times(int dirfd, const char* name, const timespec& mtime, int flags) {
  const timespec both[2] = {mtime, mtime};
  if (utimensat(dirfd, name, both, flags) != 0) throw_errno(errno, "set times");
}

void set_xattrs(int fd, const std::vector<sys::Xattr>& xattrs) {
  for (const sys::Xattr& xattr : xattrs) {
    if (!may_set_xattr(xattr.name)) continue;
    if (fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0) continue;
    // A file system without xattrs (NFS) or a user namespace that may not set this one must not stop a build.
    const int err = errno;
    if (err != ENOTSUP && err != EPERM) throw_errno(err, cat("set xattr ", sanitize_for_terminal(xattr.name)));
  }
}

void write_content(int fd, const TarMember& member, const Extractor::NextData& data) {
  std::span<const std::byte> bytes;
  std::uint64_t offset = 0, end = 0;
  while (data(bytes, offset)) {
    if (bytes.empty()) continue;
    sys::pwrite_all(fd, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, static_cast<off_t>(offset));
    end = offset + bytes.size();
  }
  if (end < member.entry.size && ftruncate(fd, static_cast<off_t>(member.entry.size)) != 0) {
    throw_errno(errno, "make sparse file");
  }
}

}  // namespace

Extractor::Extractor(int rootfd, const UnpackOptions& options)
    : options_(options),
      whiteouts_(options.whiteouts, options.user_xattr),
      dirs_(rootfd, [this](const TargetDir& parent, const std::string& name) { whiteouts_.note_made(parent, name); }),
      own_uid_(geteuid()),
      own_gid_(getegid()) {}

void Extractor::add(const TarMember& member, const NextData& data) {
  const std::string path = clean_member_name(member.entry.name);
  if (path.empty()) return;  // the root belongs to the caller
  const Marker marker = whiteouts_.marker_at(path);
  if (marker == Marker::ignored) return;
  const auto [parent, name] = split_path(path);
  const Place place{dirs_.make(parent), name, path};
  if (marker != Marker::none) {
    if (whiteouts_.apply(marker, *place.dir, place.name)) dirs_.forget();
    return;
  }
  make(place, member, data);
  whiteouts_.note_made(*place.dir, place.name);
}

void Extractor::make(const Place& place, const TarMember& member, const NextData& data) {
  switch (member.entry.type) {
    case EntryType::directory:
      return make_directory(place, member);
    case EntryType::file:
      return make_file(place, member, data);
    case EntryType::hardlink:
      return make_hardlink(place, member);
    case EntryType::symlink:
      return make_symlink(place, member);
    case EntryType::fifo:
    case EntryType::char_device:
    case EntryType::block_device:
      return make_node(place, member);
  }
}

/// Removes what stands in the way of a new entry.
void Extractor::replace(const Place& place) {
  const auto st = sys::try_stat_at(place.fd(), place.name);
  if (!st) return;
  if (S_ISDIR(st->st_mode)) {
    sys::remove_all_at(place.fd(), place.name);
  } else {
    sys::unlink_at(place.fd(), place.name);
  }
  if (S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode)) dirs_.forget();
}

void Extractor::make_directory(const Place& place, const TarMember& member) {
  bool opaque = false;
  if (mkdirat(place.fd(), place.c_name(), kOwnerAll) != 0) {
    if (errno != EEXIST) throw_errno(errno, "make directory");
    const struct stat st = sys::stat_at(place.fd(), place.name);
    if (!S_ISDIR(st.st_mode)) {
      opaque = whiteouts_.stands_at(*place.dir, place.name);
      replace(place);
      if (mkdirat(place.fd(), place.c_name(), kOwnerAll) != 0) throw_errno(errno, "make directory");
    } else {
      dirs_.forget();  // under other names it may be known with another setgid bit
    }
  }
  UniqueFd fd = sys::open_at(place.fd(), place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (opaque) whiteouts_.make_opaque(fd.get());
  apply_metadata(fd.get(), member, *place.dir, member.entry.mode | kOwnerAll);
  if (options_.directories != nullptr) options_.directories->insert(place.path);
  late_dirs_.push_back({place.path, member.entry.mode, mtime_of(member)});
  dirs_.remember(place.path, make_target_dir(std::move(fd)));
}

UniqueFd Extractor::create_file(const Place& place) {
  for (bool replaced = false;;) {
    const int fd = openat(place.fd(), place.c_name(), kNewFile, 0600);
    if (fd >= 0) return UniqueFd(fd);
    const int err = errno;
    if (err == EINTR) continue;
    if (err != EEXIST || replaced) throw_errno(err, "create file");
    replace(place);
    replaced = true;
  }
}

void Extractor::make_file(const Place& place, const TarMember& member, const NextData& data) {
  if (member.entry.size > options_.max_bytes) {
    throw Error(ErrorCode::corrupt, cat("file of ", member.entry.size, " bytes, allowed are ", options_.max_bytes));
  }
  UniqueFd fd = create_file(place);
  if (member.has_data) write_content(fd.get(), member, data);
  apply_metadata(fd.get(), member, *place.dir, member.entry.mode);
  fd.close_checked();
}

void Extractor::make_symlink(const Place& place, const TarMember& member) {
  const char* target = member.entry.link_target.c_str();
  if (symlinkat(target, place.fd(), place.c_name()) != 0) {
    if (errno != EEXIST) throw_errno(errno, "make symlink");
    replace(place);
    if (symlinkat(target, place.fd(), place.c_name()) != 0) throw_errno(errno, "make symlink");
  }
  apply_metadata_by_name(place, member);
}

void Extractor::make_node(const Place& place, const TarMember& member) {
  const TarEntry& entry = member.entry;
  const mode_t type = entry.type == EntryType::fifo          ? S_IFIFO
                      : entry.type == EntryType::char_device ? S_IFCHR
                                                             : S_IFBLK;
  const dev_t device = makedev(entry.device_major, entry.device_minor);
  const auto make_it = [&] { return mknodat(place.fd(), place.c_name(), type | 0600, device) == 0 ? 0 : errno; };
  int err = make_it();
  if (err == EEXIST) {
    replace(place);
    err = make_it();
  }
  if (err == EPERM && entry.type != EntryType::fifo) {
    ++devices_as_files_;
    apply_metadata(create_file(place).get(), member, *place.dir, entry.mode);
    return;
  }
  if (err != 0) throw_errno(err, "make device");
  apply_metadata_by_name(place, member);
}

void Extractor::make_hardlink(const Place& place, const TarMember& member) {
  const std::string shown = sanitize_for_terminal(member.entry.link_target);
  const auto [parent, name] = split_path(clean_member_name(member.entry.link_target));
  const SharedDir dir = dirs_.find(parent);
  const auto st = dir && !name.empty() ? sys::try_stat_at(dir->fd.get(), name) : std::nullopt;
  if (!st) throw Error(ErrorCode::corrupt, cat("hard link to ", shown, ", which is not there"));
  if (S_ISDIR(st->st_mode)) throw Error(ErrorCode::corrupt, cat("hard link to the directory ", shown));
  const auto old = sys::try_stat_at(place.fd(), place.name);
  if (!old || old->st_ino != st->st_ino || old->st_dev != st->st_dev) {
    if (old) replace(place);
    const int err = linkat(dir->fd.get(), name.c_str(), place.fd(), place.c_name(), 0) == 0 ? 0 : errno;
    if (err != 0) throw_errno(err, cat("link to ", shown));
  }
  adjust_link(place, member, *st);
}

/// A link's header speaks of the file it shares. The owner is left alone where it is right already, because setting it
/// would take the capability away, which archives of other tools give with the first name only.
void Extractor::adjust_link(const Place& place, const TarMember& member, const struct stat& st) const {
  const Owner owner = owner_of(member);
  if (st.st_uid != owner.uid || st.st_gid != owner.gid)
    sys::set_owner(place.fd(), place.c_name(), owner.uid, owner.gid);
  if (S_ISREG(st.st_mode)) {
    const UniqueFd fd = sys::open_at(place.fd(), place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    set_xattrs(fd.get(), member.entry.xattrs);
    if (fchmod(fd.get(), member.entry.mode) != 0) throw_errno(errno, "set mode");
  }
  set_times(place.fd(), place.c_name(), mtime_of(member), AT_SYMLINK_NOFOLLOW);
}

Extractor::Owner Extractor::owner_of(const TarMember& member) const {
  if (options_.owner) return {options_.owner->first, options_.owner->second};
  return {static_cast<std::uint32_t>(member.entry.uid), static_cast<std::uint32_t>(member.entry.gid)};
}

bool Extractor::keeps_owner(const Owner& owner, const TargetDir& dir) const {
  return owner.uid == own_uid_ && owner.gid == own_gid_ && !dir.setgid;
}

/// Everything but the content, for a file or directory that was just made.
void Extractor::apply_metadata(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const {
  const Owner owner = owner_of(member);
  if (!keeps_owner(owner, dir) || member.entry.type == EntryType::directory)
    sys::set_owner(fd, "", owner.uid, owner.gid);
  if (!member.entry.xattrs.empty()) set_xattrs(fd, member.entry.xattrs);
  if (fchmod(fd, mode) != 0) throw_errno(errno, "set mode");
  const timespec both[2] = {mtime_of(member), mtime_of(member)};
  if (futimens(fd, both) != 0) throw_errno(errno, "set times");
}

/// As apply_metadata(), for what cannot be opened. There is no race to lose: the name was just made in a directory that
/// is ours.
void Extractor::apply_metadata_by_name(const Place& place, const TarMember& member) const {
  const Owner owner = owner_of(member);
  if (!keeps_owner(owner, *place.dir)) sys::set_owner(place.fd(), place.c_name(), owner.uid, owner.gid);
  for (const sys::Xattr& xattr : member.entry.xattrs) {
    if (may_set_xattr(xattr.name)) sys::set_xattr_at(place.fd(), place.name, xattr);
  }
  if (member.entry.type != EntryType::symlink && fchmodat(place.fd(), place.c_name(), member.entry.mode, 0) != 0) {
    throw_errno(errno, "set mode");
  }
  set_times(place.fd(), place.c_name(), mtime_of(member), AT_SYMLINK_NOFOLLOW);
}

void Extractor::finish() {
  for (const LateDir& late : late_dirs_) {
    const auto [parent, name] = split_path(late.path);
    const SharedDir dir = dirs_.find(parent);
    const auto st = dir ? sys::try_stat_at(dir->fd.get(), name) : std::nullopt;
    if (!st || !S_ISDIR(st->st_mode)) continue;  // something else took its place
    // Of several members for one directory the last counts.
    if ((st->st_mode & 07777) != late.mode && fchmodat(dir->fd.get(), name.c_str(), late.mode, 0) != 0) {
      throw_errno(errno, late.path);
    }
    set_times(dir->fd.get(), name.c_str(), late.mtime, AT_SYMLINK_NOFOLLOW);
  }
  late_dirs_.clear();
}

}  // namespace cbuild::oci::layer
