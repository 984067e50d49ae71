// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

/// Thin wrappers of system calls: EINTR retried, CLOEXEC always, errno captured before anything else, failures thrown
/// as Error by throw_errno() with the path in the message. `dirfd` may be AT_FDCWD. Names that come from outside are
/// only ever given to the functions that say they are safe for them.
namespace cbuild::sys {

UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode = 0);
/// As open_at, but nullopt for ENOENT and ENOTDIR.
std::optional<UniqueFd> try_open_at(int dirfd, const std::string& path, int flags, mode_t mode = 0);

/// Opens `path` with openat2(2) as if `rootfd` were "/": absolute and relative symlinks and ".." never leave it, magic
/// links are refused. Safe for hostile names. `flags` without O_CREAT.
UniqueFd open_in_root(int rootfd, const std::string& path, int flags);
std::optional<UniqueFd> try_open_in_root(int rootfd, const std::string& path, int flags);
/// Opens `path` with RESOLVE_BENEATH: any way out of `dirfd` is an error. Safe for hostile names.
UniqueFd open_beneath(int dirfd, const std::string& path, int flags);

/// mkdir; true if it was created, false if a directory of that name exists already.
bool mkdir_at(int dirfd, const std::string& path, mode_t mode);
/// mkdir -p below dirfd for trusted paths.
void mkdir_all(int dirfd, const std::string& path, mode_t mode);
struct stat stat_at(int dirfd, const std::string& path, int flags = AT_SYMLINK_NOFOLLOW);
std::optional<struct stat> try_stat_at(int dirfd, const std::string& path, int flags = AT_SYMLINK_NOFOLLOW);
struct stat stat_fd(int fd);
std::string readlink_at(int dirfd, const std::string& path);
void rename_at(int old_dirfd, const std::string& old_path, int new_dirfd, const std::string& new_path);
/// Renames without replacing; false if the target exists.
bool rename_noreplace(int old_dirfd, const std::string& old_path, int new_dirfd, const std::string& new_path);
/// Unlinks a file; false if there is none.
bool unlink_at(int dirfd, const std::string& path, int flags = 0);
/// Removes a tree below dirfd without following symlinks or crossing into other file systems; missing is fine.
void remove_all_at(int dirfd, const std::string& path);
void fsync(int fd);

/// Names in a directory except "." and "..", sorted by bytes.
std::vector<std::string> list_dir(int dirfd);

std::size_t read_some(int fd, std::span<std::byte> buffer);  ///< 0 at end of file
/// Reads to the end; throws Error{input} when there are more than `limit` bytes.
std::string read_all(int fd, std::size_t limit);
std::string read_file_at(int dirfd, const std::string& path, std::size_t limit);
/// Fills `bytes` from `offset` on, as far as the file goes: the number of bytes. `what` names the file in an error.
std::size_t pread_all(int fd, std::span<std::byte> bytes, std::uint64_t offset, const std::string& what = "pread");
void write_all(int fd, std::string_view data);
void pwrite_all(int fd, std::string_view data, off_t offset);
/// Writes a whole file by temp name and rename in the same directory.
void write_file_at(int dirfd, const std::string& path, std::string_view data, mode_t mode = 0644);

/// Copies `size` bytes between regular files by reflink, copy_file_range, or read and write, whatever works; keeps
/// holes.
void copy_file_data(int from, int to, std::uint64_t size);

/// All extended attributes of an open file (any type opened without O_PATH), or of a path with llistxattr for symlinks.
struct Xattr {
  std::string name, value;
  auto operator<=>(const Xattr&) const = default;
};
std::vector<Xattr> list_xattrs(int fd);
/// Of `name` below dirfd, not following a symlink. Sorted by name. Empty where the file system has none.
std::vector<Xattr> list_xattrs_at(int dirfd, const std::string& name);
/// Sets one on `name` below dirfd, not following a symlink; false where the file system or the kernel refuses (ENOTSUP,
/// EPERM).
bool set_xattr_at(int dirfd, const std::string& name, const Xattr& xattr);

/// "/proc/self/fd/N".
std::string fd_path(int fd);
/// Nanoseconds since the epoch / of the monotonic clock.
std::int64_t now_ns();
std::int64_t monotonic_ns();
/// Identity of this boot (/proc/sys/kernel/random/boot_id).
const std::string& boot_id();

}  // namespace cbuild::sys
