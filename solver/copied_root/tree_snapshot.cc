// SPDX-License-Identifier: Apache-2.0
// A comparison of two walks by inode and times. The kernel's time of a change has the grain of its tick, so a change in
// the tick in which the snapshot was taken would be missed: take() waits for the next one.
#include "solver/copied_root/tree_snapshot.h"

#include <fcntl.h>

#include <cerrno>
#include <ctime>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/text.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"

namespace cbuild::solver::ops {
namespace {

constexpr long kPollNs = 1'000'000;
constexpr int kMaxPolls = 1000;  // a clock that was set back would be waited for else

bool is_before(const struct timespec& a, const struct timespec& b) {
  return std::tie(a.tv_sec, a.tv_nsec) < std::tie(b.tv_sec, b.tv_nsec);
}
bool is_same(const struct timespec& a, const struct timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// Tells a directory from another one that was made later with the same inode number.
std::int64_t birth_of(int root, const std::string& path) {
  struct statx info {};
  if (::statx(root, path.c_str(), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &info) != 0)
    throw_errno(errno, cat("statx /", path));
  return (info.stx_mask & STATX_BTIME) == 0 ? 0 : info.stx_btime.tv_sec * kNsPerSecond + info.stx_btime.tv_nsec;
}

TreeSnapshot::Entry read_entry(int root, const cache::TreeView& tree, const std::string& path, const struct stat& st,
                               struct timespec& latest) {
  TreeSnapshot::Entry entry;
  entry.st = st;
  if (is_before(latest, st.st_ctim)) latest = st.st_ctim;
  if (!S_ISDIR(st.st_mode)) return entry;
  entry.birth_ns = birth_of(root, path);
  entry.xattrs = tree.xattrs(path);
  for (const auto& child : tree.list(path))
    entry.children.emplace(child.name, read_entry(root, tree, child_path(path, child.name), child.st, latest));
  return entry;
}

/// Until the kernel's coarse clock, which stamps changes, is past `time`.
void wait_past(const struct timespec& time) {
  struct timespec now {};
  for (int i = 0; i < kMaxPolls; ++i) {
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (is_before(time, now)) return;
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = kPollNs};
    ::nanosleep(&pause, nullptr);
  }
}

bool has_same_metadata(const struct stat& a, const struct stat& b) {
  return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid && is_same(a.st_mtim, b.st_mtim);
}

bool is_same_inode(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT);
}

bool is_unchanged(const struct stat& a, const struct stat& b) {
  return is_same_inode(a, b) && has_same_metadata(a, b) && is_same(a.st_ctim, b.st_ctim) && a.st_size == b.st_size &&
         a.st_rdev == b.st_rdev;
}

class ChangePlanner {
 public:
  ChangePlanner(int root, const cache::TreeView& now, const std::string& opaque_xattr, PlannedTree& plan)
      : root_(root), now_(now), opaque_xattr_(opaque_xattr), plan_(plan), copier_(now, plan, {}) {}

  /// `before` is null for a directory that is new.
  void directory(const std::string& path, const TreeSnapshot::Entry* before) {
    std::set<std::string> seen;
    for (const auto& child : now_.list(path)) {
      seen.insert(child.name);
      const auto found = before ? before->children.find(child.name) : decltype(before->children.end()){};
      const bool existed = before != nullptr && found != before->children.end();
      entry(child_path(path, child.name), child.st, existed ? &found->second : nullptr);
    }
    if (!before) return;
    for (const auto& [name, old] : before->children)
      if (!seen.contains(name)) hide(child_path(path, name));
  }

 private:
  void entry(const std::string& path, const struct stat& st, const TreeSnapshot::Entry* old) {
    if (S_ISDIR(st.st_mode)) return entry_directory(path, st, old);
    if (S_ISSOCK(st.st_mode)) {
      if (old && !S_ISSOCK(old->st.st_mode)) hide(path);
      return;
    }
    if (old && is_unchanged(old->st, st)) return;
    take(parent_path(path));
    copier_.copy_file(path, path);
  }

  void entry_directory(const std::string& path, const struct stat& st, const TreeSnapshot::Entry* old) {
    if (old && is_same_inode(old->st, st) && old->birth_ns == birth_of(root_, path)) {
      if (!is_same_directory(*old, path, st)) take(path);
      return directory(path, old);
    }
    take(path);
    if (old) plan_.directory(path).xattrs.push_back({opaque_xattr_, "y"});
    directory(path, nullptr);
  }

  /// As an overlay, which copies up a directory for every change of it, even to what it was.
  bool is_same_directory(const TreeSnapshot::Entry& old, const std::string& path, const struct stat& st) const {
    if (is_same(old.st.st_ctim, st.st_ctim)) return true;
    return old.touched && has_same_metadata(old.st, st) && old.xattrs == now_.xattrs(path);
  }

  /// The directory and those above it, as they are now.
  void take(const std::string& path) {
    if (path.empty() || !taken_.insert(path).second) return;
    take(parent_path(path));
    const auto found = now_.lookup(path);
    plan_.make_dirs(path, 0755, {}, std::nullopt);
    PlannedNode& node = plan_.directory(path);
    node.mode = found->st.st_mode;
    node.owner = {found->st.st_uid, found->st.st_gid};
    node.mtime = found->st.st_mtim;
    node.xattrs = now_.xattrs(path);
  }

  void hide(const std::string& path) {
    take(parent_path(path));
    PlannedNode whiteout;
    whiteout.mode = S_IFCHR;
    plan_.add(path, std::move(whiteout));
  }

  const int root_;
  const cache::TreeView& now_;
  const std::string& opaque_xattr_;
  PlannedTree& plan_;
  TreeCopier copier_;
  std::set<std::string> taken_;
};

}  // namespace

TreeSnapshot TreeSnapshot::take(int root, std::shared_ptr<const SideMetadata> side) {
  const cache::TreeView tree = cache::TreeView::of_directory(root, side);
  TreeSnapshot snapshot;
  snapshot.side_ = std::move(side);
  struct timespec latest {};
  snapshot.root_ = read_entry(root, tree, "", tree.lookup("")->st, latest);
  wait_past(latest);
  return snapshot;
}

void TreeSnapshot::refresh(int root, const std::string& path) {
  Entry* known = find(path);
  if (known == nullptr) return;
  const cache::TreeView tree = cache::TreeView::of_directory(root, side_);
  struct timespec latest {};
  if (const auto found = tree.lookup(path)) *known = read_entry(root, tree, path, found->st, latest);
}

void TreeSnapshot::touch(const std::string& path) {
  if (Entry* known = find(path)) known->touched = true;
}

TreeSnapshot::Entry* TreeSnapshot::find(const std::string& path) {
  Entry* entry = &root_;
  for (const std::string& part : split(path, '/')) {
    if (part.empty()) continue;
    const auto child = entry->children.find(part);
    if (child == entry->children.end()) return nullptr;
    entry = &child->second;
  }
  return entry;
}

void plan_changes(const TreeSnapshot& before, int root, const cache::TreeView& now, const std::string& opaque_xattr,
                  PlannedTree& plan) {
  ChangePlanner(root, now, opaque_xattr, plan).directory("", &before.root());
}

}  // namespace cbuild::solver::ops
