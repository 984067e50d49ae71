// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/layer_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/side/side_metadata.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

/// File systems with coarse clocks show a time that is up to this much too early.
constexpr std::int64_t kClockGrain = 2 * kNsPerSecond;

bool counts(const std::string& xattr) {
  if (xattr.starts_with("user.overlay.") || xattr.starts_with("trusted.overlay."))
    return xattr.ends_with(".overlay.opaque");
  return xattr == "security.capability" || xattr.starts_with("system.posix_acl_") || xattr.starts_with("user.") ||
         xattr.starts_with("trusted.");
}

std::int64_t nanoseconds(const struct timespec& time) { return time.tv_sec * kNsPerSecond + time.tv_nsec; }

class Walk {
 public:
  Walk(const RunTimes& times, const SideMetadata* side, std::uint64_t max_bytes, std::uint64_t max_entries)
      : times_(times), side_(side), bytes_left_(max_bytes), entries_left_(max_entries) {}

  /// False when a limit was passed.
  bool root(int fd) {
    struct stat st = sys::stat_fd(fd);
    if (side_) side_->correct("", st);
    metadata(st, "");
    xattrs(fd, ".", "");
    return directory(fd, "");
  }

  Digest digest() const { return out_.hash(); }

 private:
  bool directory(int fd, const std::string& path) {
    for (const std::string& name : sys::list_dir(fd))
      if (!entry(fd, name, path.empty() ? name : cat(path, '/', name))) return false;
    out_.tag('.');
    return true;
  }

  void metadata(const struct stat& st, const std::string& path) {
    out_.number(st.st_mode).number(st.st_uid).number(st.st_gid);
    const std::int64_t time = nanoseconds(st.st_mtim);
    const bool of_run = time >= times_.began_ns - kClockGrain && time <= times_.ended_ns;
    if (!of_run && !is_base_time(path, st)) out_.tag('t').number(static_cast<std::uint64_t>(time));
  }

  bool is_base_time(const std::string& path, const struct stat& st) const {
    const cache::TreeView* const base = times_.base ? times_.base() : nullptr;
    const auto below = base == nullptr ? std::nullopt : base->lookup(path);
    return below && nanoseconds(below->st.st_mtim) == nanoseconds(st.st_mtim);
  }

  bool entry(int parent, const std::string& name, const std::string& path) {
    if (entries_left_-- == 0) return false;
    struct stat st = sys::stat_at(parent, name);
    if (side_) side_->correct(path, st);
    out_.tag('e').text(name);
    if (is_whiteout(st)) {
      out_.tag('w');
      return true;
    }
    metadata(st, path);
    xattrs(parent, name, path);
    if (S_ISLNK(st.st_mode)) out_.text(sys::readlink_at(parent, name));
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) out_.number(st.st_rdev);
    if (S_ISREG(st.st_mode)) return file(parent, name, st);
    if (S_ISDIR(st.st_mode))
      return directory(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get(), path);
    return true;
  }

  void xattrs(int parent, const std::string& name, const std::string& path) {
    std::vector<sys::Xattr> found = sys::list_xattrs_at(parent, name);
    if (const SideEntry* known = side_ ? side_->find(path) : nullptr) {
      found.insert(found.end(), known->wanted.xattrs.begin(), known->wanted.xattrs.end());
      std::sort(found.begin(), found.end());
    }
    for (const sys::Xattr& xattr : found)
      if (counts(xattr.name)) out_.tag('x').text(xattr.name).text(xattr.value);
  }

  bool file(int parent, const std::string& name, const struct stat& st) {
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size > bytes_left_) return false;
    bytes_left_ -= size;
    if (st.st_nlink > 1) {
      const auto [known, fresh] = hard_links_.try_emplace({st.st_dev, st.st_ino}, entries_left_);
      if (!fresh) {
        out_.tag('h').number(known->second);
        return true;
      }
    }
    if (size == 0) {
      out_.number(0);
      return true;
    }
    out_.number(size).digest(sha256_fd(sys::open_at(parent, name, O_RDONLY | O_NOFOLLOW).get()));
    return true;
  }

  const RunTimes& times_;
  const SideMetadata* const side_;  ///< of the tree; may be null
  CanonicalWriter out_;
  std::uint64_t bytes_left_, entries_left_;
  std::map<std::pair<dev_t, ino_t>, std::uint64_t> hard_links_;
};

}  // namespace

std::optional<Digest> layer_identity(int tree_fd, const RunTimes& times, std::uint64_t max_bytes,
                                     std::uint64_t max_entries) {
  const auto side = SideMetadata::read(tree_fd);
  Walk walk(times, side.get(), max_bytes, max_entries);
  if (!walk.root(tree_fd)) return std::nullopt;
  return walk.digest();
}

}  // namespace cbuild::solver::ops
