// SPDX-License-Identifier: Apache-2.0
#include "api/session/kept_metadata.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kProbe[] = "user.cbuild.probe";

/// The access time stays.
struct Times {
  timespec both[2];
  explicit Times(std::int64_t ns) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    std::int64_t seconds = ns / kSecond, rest = ns % kSecond;
    if (rest < 0) {
      rest += kSecond;
      --seconds;
    }
    both[0] = {0, UTIME_OMIT};
    both[1] = {seconds, rest};
  }
};

std::vector<sys::Xattr> kept_xattrs(std::vector<sys::Xattr> xattrs, const KeptMetadata& kept) {
  std::erase_if(xattrs, [&](const sys::Xattr& xattr) { return !kept.keeps(xattr); });
  return xattrs;
}

void set_xattrs(int fd, const FileStat& entry, const KeptMetadata& kept) {
  for (const sys::Xattr& old : kept_xattrs(sys::list_xattrs(fd), kept))
    if (std::ranges::find(entry.xattrs, old.name, &sys::Xattr::name) == entry.xattrs.end())
      ::fremovexattr(fd, old.name.c_str());
  for (const sys::Xattr& xattr : entry.xattrs)
    if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
      throw_errno(errno, cat("set the attribute ", xattr.name, " of ", entry.path));
}

}  // namespace

KeptMetadata KeptMetadata::probe(int directory_fd) {
  KeptMetadata kept{has_capability(CAP_CHOWN), has_capability(CAP_MKNOD), false, has_capability(CAP_SETFCAP)};
  kept.user_xattrs = ::fsetxattr(directory_fd, kProbe, "", 0, 0) == 0;
  if (kept.user_xattrs) ::fremovexattr(directory_fd, kProbe);
  return kept;
}

bool KeptMetadata::keeps(const sys::Xattr& xattr) const {
  return (user_xattrs && xattr.name.starts_with("user.")) || (capabilities && xattr.name == "security.capability");
}

FileStat KeptMetadata::kept_of(FileStat entry) const {
  if (S_ISREG(entry.mode) || S_ISDIR(entry.mode))
    entry.xattrs = kept_xattrs(std::move(entry.xattrs), *this);
  else
    entry.xattrs.clear();
  if (S_ISLNK(entry.mode)) entry.mode = S_IFLNK | 0777;
  return entry;
}

bool is_same_entry(int dirfd, const std::string& name, const struct stat& here, const FileStat& entry,
                   const KeptMetadata& kept) {
  if (here.st_mode != entry.mode || mtime_ns(here) != entry.mtime_ns) return false;
  if (kept.owners && (here.st_uid != entry.uid || here.st_gid != entry.gid)) return false;
  if (S_ISLNK(entry.mode)) return sys::readlink_at(dirfd, name) == entry.link;
  if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) return here.st_rdev == ::makedev(entry.major, entry.minor);
  if (S_ISREG(entry.mode) && static_cast<std::uint64_t>(here.st_size) != entry.size) return false;
  if (S_ISFIFO(entry.mode) || (!kept.user_xattrs && !kept.capabilities)) return true;
  return kept_xattrs(sys::list_xattrs_at(dirfd, name), kept) == entry.xattrs;
}

void set_metadata(int fd, const FileStat& entry, const KeptMetadata& kept) {
  const auto fail = [&](int err) { throw_errno(err, cat("set the metadata of ", entry.path)); };
  // A change of the owner takes the set-id bits and the capabilities away, so that it comes first.
  if (kept.owners && ::fchown(fd, entry.uid, entry.gid) != 0) fail(errno);
  if (::fchmod(fd, entry.mode & 07777) != 0) fail(errno);
  if (kept.user_xattrs || kept.capabilities) set_xattrs(fd, entry, kept);
  if (::futimens(fd, Times(entry.mtime_ns).both) != 0) fail(errno);
}

void set_metadata_at(int dirfd, const std::string& name, const FileStat& entry, const KeptMetadata& kept) {
  const auto fail = [&](int err) { throw_errno(err, cat("set the metadata of ", entry.path)); };
  if (kept.owners && ::fchownat(dirfd, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) fail(errno);
  // Those of a symbolic link are fixed; everything else here has been made under this name just now.
  if (!S_ISLNK(entry.mode) && ::fchmodat(dirfd, name.c_str(), entry.mode & 07777, 0) != 0) fail(errno);
  if (::utimensat(dirfd, name.c_str(), Times(entry.mtime_ns).both, AT_SYMLINK_NOFOLLOW) != 0) fail(errno);
}

std::int64_t mtime_ns(const struct stat& st) {
  return std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
}

}  // namespace cbuild::api
