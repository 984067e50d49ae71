// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/tree_difference.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "solver/ops/tree_copy.h"

namespace cbuild::solver::ops {
namespace {

using Entries = std::map<std::string, cache::TreeView::Entry>;

Entries entries_of(const cache::TreeView& tree, const std::string& directory) {
  Entries out;
  for (const cache::TreeView::Entry& entry : tree.list(directory)) out.emplace(entry.name, entry);
  return out;
}

bool same_bytes(const UniqueFd& one, const UniqueFd& other) {
  constexpr std::size_t kPiece = 1u << 16;
  std::string left(kPiece, 0), right(kPiece, 0);
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(one.get(), left.data(), kPiece, at);
    const ssize_t also = ::pread(other.get(), right.data(), kPiece, at);
    if (got < 0 || also < 0) throw_errno(errno, "read");
    if (got != also || left.compare(0, static_cast<std::size_t>(got), right, 0, static_cast<std::size_t>(got)) != 0)
      return false;
    if (got == 0) return true;
    at += got;
  }
}

bool same_xattrs(const std::vector<sys::Xattr>& one, const std::vector<sys::Xattr>& other) {
  std::map<std::string, std::string> left, right;
  for (const sys::Xattr& xattr : one) left[xattr.name] = xattr.value;
  for (const sys::Xattr& xattr : other) right[xattr.name] = xattr.value;
  return left == right;
}

class Difference {
 public:
  Difference(const cache::TreeView& lower, const cache::TreeView& upper, const CancelSource* cancel)
      : lower_(lower), upper_(upper), cancel_(cancel), plan_(&lower), copier_(upper, plan_, {.cancel = cancel}) {}

  PlannedTree run() {
    compare("");
    return std::move(plan_);
  }

 private:
  void compare(const std::string& directory);
  void take(const std::string& path, const cache::TreeView::Entry& entry);
  bool is_same(const std::string& path, const struct stat& old, const struct stat& now) const;
  void set_directory(const std::string& path, const struct stat& now);

  const cache::TreeView& lower_;
  const cache::TreeView& upper_;
  const CancelSource* cancel_;
  PlannedTree plan_;
  TreeCopier copier_;
};

void Difference::compare(const std::string& directory) {
  if (cancel_) cancel_->check();
  const Entries old = entries_of(lower_, directory), now = entries_of(upper_, directory);
  for (const auto& [name, entry] : old)
    if (!now.contains(name)) plan_.remove(child_path(directory, name));
  for (const auto& [name, entry] : now) {
    const std::string path = child_path(directory, name);
    const auto before = old.find(name);
    const bool both = before != old.end() && S_ISDIR(entry.st.st_mode) && S_ISDIR(before->second.st.st_mode);
    const bool same = before != old.end() && is_same(path, before->second.st, entry.st);
    if (both && !same) set_directory(path, entry.st);
    if (both)
      compare(path);
    else if (!same)
      take(path, entry);
  }
}

/// Directories on the way look as they do in the end.
void Difference::take(const std::string& path, const cache::TreeView::Entry& entry) {
  plan_.make_dirs(parent_path(path), 0755, {}, std::nullopt);
  if (plan_.kind(path) != PlannedTree::Kind::missing) plan_.remove(path);
  S_ISDIR(entry.st.st_mode) ? copier_.copy_whole(path, path) : copier_.copy_file(path, path);
}

bool Difference::is_same(const std::string& path, const struct stat& old, const struct stat& now) const {
  if (old.st_mode != now.st_mode || old.st_uid != now.st_uid || old.st_gid != now.st_gid) return false;
  if (!same_xattrs(lower_.xattrs(path), upper_.xattrs(path))) return false;
  if (S_ISDIR(now.st_mode)) return true;
  if (S_ISLNK(now.st_mode)) return lower_.read_link(path) == upper_.read_link(path);
  if (!S_ISREG(now.st_mode)) return old.st_rdev == now.st_rdev;
  if (old.st_dev == now.st_dev && old.st_ino == now.st_ino) return true;
  const bool times = old.st_mtim.tv_sec == now.st_mtim.tv_sec && old.st_mtim.tv_nsec == now.st_mtim.tv_nsec;
  return times && old.st_size == now.st_size && same_bytes(lower_.open(path, O_RDONLY), upper_.open(path, O_RDONLY));
}

void Difference::set_directory(const std::string& path, const struct stat& now) {
  plan_.make_dirs(path, 0755, {}, std::nullopt);
  PlannedNode& node = plan_.directory(path);
  node.mode = now.st_mode & (S_IFMT | 07777);
  node.owner = {now.st_uid, now.st_gid};
  node.mtime = now.st_mtim;
  node.xattrs = upper_.xattrs(path);
}

}  // namespace

PlannedTree plan_difference(const cache::TreeView& lower, const cache::TreeView& upper, const CancelSource* cancel) {
  return Difference(lower, upper, cancel).run();
}

}  // namespace cbuild::solver::ops
