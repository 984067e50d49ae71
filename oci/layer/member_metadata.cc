// SPDX-License-Identifier: Apache-2.0
// The order of the calls on one file matters: chown takes setuid bits and capabilities away, so it comes before both;
// writing takes capabilities away, so content comes first of all; chmod last but the times.
#include "oci/layer/member_metadata.h"

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
#include "oci/layer/layer_table.h"

namespace cbuild::oci::layer {
namespace {

constexpr int kNewFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

void set_xattrs(int fd, const std::vector<sys::Xattr>& xattrs) {
  for (const sys::Xattr& xattr : xattrs) {
    if (!may_set_xattr(xattr.name)) continue;
    if (fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0) continue;
    // A file system without xattrs (NFS) or a user namespace that may not set this one must not stop a build.
    const int err = errno;
    if (err != ENOTSUP && err != EPERM) throw_errno(err, cat("set xattr ", sanitize_for_terminal(xattr.name)));
  }
}

void write_content(int fd, const TarMember& member, const NextData& data) {
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

timespec mtime_of(const TarMember& member) {
  return {static_cast<time_t>(member.entry.mtime_s), static_cast<long>(member.mtime_ns)};
}

void set_times(int dirfd, const char* name, const timespec& mtime) {
  const timespec both[2] = {mtime, mtime};
  if (utimensat(dirfd, name, both, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, "set times");
}

MemberMetadata::MemberMetadata(const UnpackOptions& options)
    : options_(options), own_uid_(geteuid()), own_gid_(getegid()) {}

std::optional<UniqueFd> MemberMetadata::create_file(const TargetDir& dir, const std::string& name) {
  for (;;) {
    const int fd = openat(dir.fd.get(), name.c_str(), kNewFile, 0600);
    if (fd >= 0) return UniqueFd(fd);
    const int err = errno;
    if (err == EEXIST) return std::nullopt;
    if (err != EINTR) throw_errno(err, "create file");
  }
}

void MemberMetadata::fill_file(UniqueFd file, const TarMember& member, const TargetDir& dir,
                               const NextData& data) const {
  if (member.has_data) write_content(file.get(), member, data);
  apply(file.get(), member, dir, member.entry.mode);
  file.close_checked();
}

/// A link's header speaks of the file it shares. The owner is left alone where it is right already, because setting it
/// would take the capability away, which archives of other tools give with the first name only.
void MemberMetadata::adjust_link(const TargetDir& dir, const std::string& name, const TarMember& member,
                                 const struct stat& st) const {
  const Owner owner = owner_of(member);
  const int dirfd = dir.fd.get();
  if (options_.side != nullptr) {
    give(dirfd, name.c_str(), member, st.st_mode & S_IFMT, member.entry.mode);
    return set_times(dirfd, name.c_str(), mtime_of(member));
  }
  if (st.st_uid != owner.uid || st.st_gid != owner.gid) sys::set_owner(dirfd, name.c_str(), owner.uid, owner.gid);
  if (S_ISREG(st.st_mode)) {
    const UniqueFd fd = sys::open_at(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    set_xattrs(fd.get(), member.entry.xattrs);
    if (fchmod(fd.get(), member.entry.mode) != 0) throw_errno(errno, "set mode");
  }
  set_times(dirfd, name.c_str(), mtime_of(member));
}

MemberMetadata::Owner MemberMetadata::owner_of(const TarMember& member) const {
  if (options_.owner) return {options_.owner->first, options_.owner->second};
  return {static_cast<std::uint32_t>(member.entry.uid), static_cast<std::uint32_t>(member.entry.gid)};
}

bool MemberMetadata::keeps_owner(const Owner& owner, const TargetDir& dir) const {
  return owner.uid == own_uid_ && owner.gid == own_gid_ && !dir.setgid;
}

void MemberMetadata::give(int dirfd, const char* name, const TarMember& member, mode_t type, mode_t mode) const {
  const Owner owner = owner_of(member);
  Metadata wanted{type | mode, owner.uid, owner.gid};
  if (type == S_IFCHR || type == S_IFBLK) wanted.device = makedev(member.entry.device_major, member.entry.device_minor);
  for (const sys::Xattr& xattr : member.entry.xattrs)
    if (may_set_xattr(xattr.name)) wanted.xattrs.push_back(xattr);
  options_.side->give(dirfd, name, wanted);
}

void MemberMetadata::set_all(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const {
  const Owner owner = owner_of(member);
  if (!keeps_owner(owner, dir) || member.entry.type == EntryType::directory)
    sys::set_owner(fd, "", owner.uid, owner.gid);
  if (!member.entry.xattrs.empty()) set_xattrs(fd, member.entry.xattrs);
  if (fchmod(fd, mode) != 0) throw_errno(errno, "set mode");
}

void MemberMetadata::apply(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const {
  if (options_.side != nullptr)
    give(fd, "", member, type_bits(member.entry.type), mode);
  else
    set_all(fd, member, dir, mode);
  const timespec both[2] = {mtime_of(member), mtime_of(member)};
  if (futimens(fd, both) != 0) throw_errno(errno, "set times");
}

/// There is no race to lose: the name was just made in a directory that is ours.
void MemberMetadata::apply_by_name(const TargetDir& dir, const std::string& name, const TarMember& member) const {
  const Owner owner = owner_of(member);
  const int dirfd = dir.fd.get();
  if (options_.side != nullptr) {
    give(dirfd, name.c_str(), member, type_bits(member.entry.type), member.entry.mode);
    return set_times(dirfd, name.c_str(), mtime_of(member));
  }
  if (!keeps_owner(owner, dir)) sys::set_owner(dirfd, name.c_str(), owner.uid, owner.gid);
  for (const sys::Xattr& xattr : member.entry.xattrs) {
    if (may_set_xattr(xattr.name)) sys::set_xattr_at(dirfd, name, xattr);
  }
  if (member.entry.type != EntryType::symlink && fchmodat(dirfd, name.c_str(), member.entry.mode, 0) != 0) {
    throw_errno(errno, "set mode");
  }
  set_times(dirfd, name.c_str(), mtime_of(member));
}

}  // namespace cbuild::oci::layer
