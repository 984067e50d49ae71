// SPDX-License-Identifier: Apache-2.0
// The thin layer over system calls on names and metadata: EINTR is retried, descriptors are close-on-exec, errno
// becomes an Error that names the path, and "is missing" is a value where callers expect it. All names are relative to
// a descriptor. The half about contents and clocks is sys_io.cc; names that come from outside go through
// sys_resolve.cc.
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

bool is_missing(int err) { return err == ENOENT || err == ENOTDIR; }

/// For file systems without RENAME_NOREPLACE: a hard link, or for directories an empty target, refuses to replace.
bool rename_noreplace_by_link(int old_dirfd, const std::string& old_path, int new_dirfd, const std::string& new_path) {
  const bool directory = S_ISDIR(stat_at(old_dirfd, old_path).st_mode);
  if (!directory) {
    if (::linkat(old_dirfd, old_path.c_str(), new_dirfd, new_path.c_str(), 0) != 0) {
      if (errno == EEXIST) return false;
      throw_errno(errno, cat("rename ", old_path, " to ", new_path));
    }
    unlink_at(old_dirfd, old_path);
    return true;
  }
  if (::mkdirat(new_dirfd, new_path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return false;
    throw_errno(errno, cat("rename ", old_path, " to ", new_path));
  }
  rename_at(old_dirfd, old_path, new_dirfd, new_path);
  return true;
}

}  // namespace

UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode) {
  const int fd = detail::retry([&] { return ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) throw_errno(errno, cat("open ", path));
  return UniqueFd(fd);
}

std::optional<UniqueFd> try_open_at(int dirfd, const std::string& path, int flags, mode_t mode) {
  const int fd = detail::retry([&] { return ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd >= 0) return UniqueFd(fd);
  if (is_missing(errno)) return std::nullopt;
  throw_errno(errno, cat("open ", path));
}

bool mkdir_at(int dirfd, const std::string& path, mode_t mode) {
  if (::mkdirat(dirfd, path.c_str(), mode) == 0) return true;
  const int err = errno;
  if (err == EEXIST) {
    const auto existing = try_stat_at(dirfd, path);
    if (existing && S_ISDIR(existing->st_mode)) return false;
  }
  throw_errno(err, cat("mkdir ", path));
}

void mkdir_all(int dirfd, const std::string& path, mode_t mode) {
  const std::string cleaned = clean_path(path);
  if (::mkdirat(dirfd, cleaned.c_str(), mode) == 0) return;
  int err = errno;
  const std::string parent = dir_name(cleaned);
  if (err == ENOENT && parent != "." && parent != "/") {
    mkdir_all(dirfd, parent, mode);
    if (::mkdirat(dirfd, cleaned.c_str(), mode) == 0) return;
    err = errno;
  }
  if (err != EEXIST) throw_errno(err, cat("mkdir ", path));
  const auto existing = try_stat_at(dirfd, cleaned, 0);
  if (!existing || !S_ISDIR(existing->st_mode)) throw_errno(ENOTDIR, cat("mkdir ", path));
}

struct stat stat_at(int dirfd, const std::string& path, int flags) {
  struct stat out;
  if (::fstatat(dirfd, path.c_str(), &out, flags) != 0) throw_errno(errno, cat("stat ", path));
  return out;
}

std::optional<struct stat> try_stat_at(int dirfd, const std::string& path, int flags) {
  struct stat out;
  if (::fstatat(dirfd, path.c_str(), &out, flags) == 0) return out;
  if (is_missing(errno)) return std::nullopt;
  throw_errno(errno, cat("stat ", path));
}

struct stat stat_fd(int fd) {
  struct stat out;
  if (::fstat(fd, &out) != 0) throw_errno(errno, "fstat");
  return out;
}

std::string readlink_at(int dirfd, const std::string& path) {
  std::string out(256, '\0');
  for (;;) {
    const ssize_t size = ::readlinkat(dirfd, path.c_str(), out.data(), out.size());
    if (size < 0) throw_errno(errno, cat("readlink ", path));
    if (static_cast<std::size_t>(size) < out.size()) {
      out.resize(static_cast<std::size_t>(size));
      return out;
    }
    out.resize(2 * out.size());
  }
}

void rename_at(int old_dirfd, const std::string& old_path, int new_dirfd, const std::string& new_path) {
  if (::renameat(old_dirfd, old_path.c_str(), new_dirfd, new_path.c_str()) != 0)
    throw_errno(errno, cat("rename ", old_path, " to ", new_path));
}

bool rename_noreplace(int old_dirfd, const std::string& old_path, int new_dirfd, const std::string& new_path) {
  if (::syscall(SYS_renameat2, old_dirfd, old_path.c_str(), new_dirfd, new_path.c_str(), RENAME_NOREPLACE) == 0)
    return true;
  if (errno == EEXIST) return false;
  if (errno == EINVAL || errno == ENOSYS) return rename_noreplace_by_link(old_dirfd, old_path, new_dirfd, new_path);
  throw_errno(errno, cat("rename ", old_path, " to ", new_path));
}

bool unlink_at(int dirfd, const std::string& path, int flags) {
  if (::unlinkat(dirfd, path.c_str(), flags) == 0) return true;
  if (errno == ENOENT) return false;
  throw_errno(errno, cat("remove ", path));
}

void fsync(int fd) {
  if (detail::retry([&] { return ::fsync(fd); }) != 0) throw_errno(errno, "fsync");
}

std::vector<std::string> list_dir(int dirfd) {
  const UniqueFd dir = open_at(dirfd, ".", O_RDONLY | O_DIRECTORY);
  std::vector<std::string> names;
  detail::DirReader reader(dir.get());
  while (const detail::DirEntry* entry = reader.next()) names.emplace_back(entry->name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string fd_path(int fd) { return cat("/proc/self/fd/", fd); }

}  // namespace cbuild::sys
