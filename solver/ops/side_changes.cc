// SPDX-License-Identifier: Apache-2.0
// A command that changes a file of a layer below makes the kernel copy it, with the metadata that the file system has;
// what it ought to be is known by its path in the layers below. Overlayfs marks such copies, so that a file which took
// the place of another is told from one that was changed; it marks no symlinks and no files with several names.
#include "solver/ops/side_changes.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <string>

#include "base/text.h"
#include "base/whiteout.h"

namespace cbuild::solver::ops {
namespace {

bool has_xattr(int directory, const std::string& name, const char* xattr) {
  const std::string path = cat(sys::fd_path(directory), '/', name);
  return ::lgetxattr(path.c_str(), xattr, nullptr, 0) >= 0;
}

bool has_either(int directory, const std::string& name, const std::string& feature) {
  return has_xattr(directory, name, cat("user.overlay.", feature).c_str()) ||
         has_xattr(directory, name, cat("trusted.overlay.", feature).c_str());
}

class Heir {
 public:
  Heir(const cache::TreeView& below, SideRecorder& side) : below_(below), side_(side) {}

  void directory(int fd, const std::string& path) {
    for (const std::string& name : sys::list_dir(fd)) {
      const struct stat st = sys::stat_at(fd, name);
      if (is_whiteout(st)) continue;
      const std::string child = child_path(path, name);
      const auto old = below_.lookup(child);
      const bool copied = old && is_copy(fd, name, st, child, *old);
      if (const SideEntry* known = copied ? below_.side(child) : nullptr) take_over(st, *known, *old);
      if (S_ISDIR(st.st_mode) && copied)
        directory(sys::open_at(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get(), child);
    }
  }

 private:
  bool is_copy(int fd, const std::string& name, const struct stat& st, const std::string& path,
               const cache::TreeView::Entry& old) const {
    const SideEntry* known = below_.side(path);
    const mode_t stored = known ? known->stored_mode : old.st.st_mode;
    if (((stored ^ st.st_mode) & S_IFMT) != 0) return false;
    if (S_ISDIR(st.st_mode)) return !has_either(fd, name, "opaque");
    if (S_ISLNK(st.st_mode)) return sys::readlink_at(fd, name) == below_.read_link(path);
    return old.st.st_nlink > 1 || has_either(fd, name, "origin");
  }

  void take_over(const struct stat& st, const SideEntry& known, const cache::TreeView::Entry& old) {
    SideEntry entry = known;
    const bool written = st.st_mtim.tv_sec != old.st.st_mtim.tv_sec || st.st_mtim.tv_nsec != old.st.st_mtim.tv_nsec;
    if (written && S_ISREG(st.st_mode))  // as the kernel does
      std::erase_if(entry.wanted.xattrs, [](const sys::Xattr& xattr) { return xattr.name == "security.capability"; });
    if (st.st_mode != known.stored_mode) entry.wanted.mode = (known.wanted.mode & S_IFMT) | (st.st_mode & 07777);
    entry.stored_mode = st.st_mode;
    side_.note(st, entry);
  }

  const cache::TreeView& below_;
  SideRecorder& side_;
};

}  // namespace

bool has_side_metadata(int tree) { return sys::try_stat_at(tree, "../side").has_value(); }

void inherit_side(const cache::TreeView& below, int upper, SideRecorder& side) {
  if (below.has_side()) Heir(below, side).directory(upper, "");
}

}  // namespace cbuild::solver::ops
