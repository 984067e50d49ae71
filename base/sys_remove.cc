// SPDX-License-Identifier: Apache-2.0
// Removing trees that others filled. Only descriptors are followed, never paths; a directory is entered only when it is
// on the same mount. A tree may be deeper than the descriptors we may hold: what lies below kMaxDepth is moved up to
// the top directory and removed from there.
#include <dirent.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxPasses = 64;  // over one directory that others still fill
constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

class TreeRemover {
 public:
  explicit TreeRemover(int parent) : parent_(parent) {}

  void remove(const std::string& path) {
    if (::unlinkat(parent_, path.c_str(), 0) == 0 || errno == ENOENT || errno == ENOTDIR) return;
    if (errno != EISDIR && errno != EPERM) throw_errno(errno, cat("remove ", path));
    if (::unlinkat(parent_, path.c_str(), AT_REMOVEDIR) == 0) return;
    if (errno != ENOTEMPTY && errno != EEXIST) throw_errno(errno, cat("remove ", path));
    top_ = open_dir(parent_, path, 0);
    device_ = stat_fd(top_.get()).st_dev;
    empty(top_.get(), 0);
    remove_dir(parent_, path);
  }

 private:
  UniqueFd open_dir(int dirfd, const std::string& name, std::uint64_t resolve) {
    UniqueFd dir(try_open_dir(dirfd, name, resolve));
    if (!dir && errno == EACCES && give_owner_access(dirfd, name)) dir.reset(try_open_dir(dirfd, name, resolve));
    if (!dir && errno != EXDEV) throw_errno(errno, cat("open ", name));
    if (!dir || (resolve != 0 && stat_fd(dir.get()).st_dev != device_))
      throw_errno(EBUSY, cat("remove ", name, ": something is mounted there"));
    return dir;
  }

  /// RESOLVE_NO_XDEV also sees bind mounts of the same device; older kernels must do with the device number.
  static int try_open_dir(int dirfd, const std::string& name, std::uint64_t resolve) {
    const int fd = detail::openat2(dirfd, name.c_str(), kDirFlags, resolve);
    return fd < 0 && errno == ENOSYS ? ::openat(dirfd, name.c_str(), kDirFlags | O_CLOEXEC) : fd;
  }

  /// By descriptor, as chmod would follow a link that has just taken the directory's place.
  static bool give_owner_access(int dirfd, const std::string& name) {
    const UniqueFd dir(::openat(dirfd, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return dir && ::chmod(fd_path(dir.get()).c_str(), 0700) == 0;
  }

  /// Removes all entries. A directory others write to at the same time is read again, but not for ever.
  void empty(int dir, int depth) {
    for (int pass = 0; pass < kMaxPasses + moved_up_; ++pass) {
      if (pass > 0) ::lseek(dir, 0, SEEK_SET);
      bool found = false;
      detail::DirReader reader(dir);
      while (const detail::DirEntry* entry = reader.next()) {
        found = true;
        remove_entry(dir, entry->name, entry->type, depth);
      }
      if (!found) return;
    }
  }

  void remove_entry(int dir, const std::string& name, unsigned char type, int depth) {
    if (type != DT_DIR) {
      if (unlink_as_file(dir, name)) return;
    }
    if (depth >= kMaxDepth) {
      const std::string moved = ".deep-" + random_hex();
      if (::renameat(dir, name.c_str(), top_.get(), moved.c_str()) == 0) {
        ++moved_up_;
        return;
      }
      if (errno == ENOENT) return;
    }
    {
      const UniqueFd child = open_dir(dir, name, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
      empty(child.get(), depth + 1);
    }
    remove_dir(dir, name);
  }

  /// False if it is a directory.
  static bool unlink_as_file(int dir, const std::string& name) {
    if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    if (errno == EISDIR) return false;
    if (errno == EACCES && ::fchmod(dir, 0700) == 0 && ::unlinkat(dir, name.c_str(), 0) == 0) return true;
    throw_errno(errno, cat("remove ", name));
  }

  static void remove_dir(int dir, const std::string& name) {
    if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    if (errno == EACCES && ::fchmod(dir, 0700) == 0 && ::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0) return;
    throw_errno(errno, cat("remove ", name));
  }

  int parent_;
  UniqueFd top_;
  dev_t device_ = 0;
  int moved_up_ = 0;
};

}  // namespace

void remove_all_at(int dirfd, const std::string& path) { TreeRemover(dirfd).remove(path); }

}  // namespace cbuild::sys
