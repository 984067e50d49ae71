// SPDX-License-Identifier: Apache-2.0
#include "solver/copied_root/copied_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/owner.h"
#include "base/text.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

/// The mode, owner and time of one directory for another.
void copy_metadata(const struct stat& st, int to) {
  sys::set_owner_and_mode(to, st.st_uid, st.st_gid, st.st_mode, "the root directory");
  const struct timespec times[2] = {st.st_mtim, st.st_mtim};
  if (::futimens(to, times) != 0) throw_errno(errno, "set the time of the root directory");
}

/// Gives a directory its time again after an entry was made or removed in it.
class KeepTime {
 public:
  KeepTime(int root, const std::string& directory)
      : directory_(sys::open_at(root, directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)),
        time_(sys::stat_fd(directory_.get()).st_mtim) {}
  ~KeepTime() {
    const struct timespec times[2] = {time_, time_};
    (void)::futimens(directory_.get(), times);
  }
  KeepTime(const KeepTime&) = delete;
  KeepTime& operator=(const KeepTime&) = delete;

 private:
  UniqueFd directory_;
  struct timespec time_;
};

/// The upper has empty directories already for the file systems that are mounted in a step; those that come out changed
/// are written again.
void make_room(const PlannedTree& plan, int upper) {
  for (const auto& [name, node] : plan.root().children)
    if (::unlinkat(upper, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      throw_errno(errno, cat("remove /", name, " of the new layer"));
}

}  // namespace

void CopiedRoot::populate(const cache::TreeView& layers, bool with_devices) {
  PlannedTree plan(nullptr);
  CopyRules rules;
  rules.devices = with_devices;
  TreeCopier(layers, plan, std::move(rules)).copy_contents("", "", true);
  write_tree(plan, fd(), nullptr);
  if (const auto top = layers.lookup("")) copy_metadata(top->st, fd());
}

void CopiedRoot::add_skeleton(int skeleton) { add_skeleton(cache::TreeView::of_directory(skeleton), ""); }

void CopiedRoot::add_skeleton(const cache::TreeView& skeleton, const std::string& directory) {
  for (const auto& entry : skeleton.list(directory)) {
    const std::string path = child_path(directory, entry.name);
    const bool is_directory = S_ISDIR(entry.st.st_mode);
    if (!sys::try_stat_at(fd(), path)) {
      const KeepTime parent(fd(), directory);
      if (is_directory)
        sys::mkdir_at(fd(), path, 0700);
      else
        sys::open_at(fd(), path, O_WRONLY | O_CREAT | O_EXCL, 0600).close_checked();
      const UniqueFd made = sys::open_at(fd(), path, O_RDONLY | O_NOFOLLOW);
      copy_metadata(entry.st, made.get());
      skeleton_.push_back(path);
    }
    if (is_directory) add_skeleton(skeleton, path);
  }
}

/// Those that a command has changed, or put something into, are a part of its layer.
void CopiedRoot::remove_skeleton(const PlannedTree& changes) {
  for (auto path = skeleton_.rbegin(); path != skeleton_.rend(); ++path) {
    const auto found = sys::try_stat_at(fd(), *path);
    if (!found || changes.kind(*path) != PlannedTree::Kind::missing) continue;
    const KeepTime parent(fd(), parent_path(*path));
    const bool removed = ::unlinkat(fd(), path->c_str(), S_ISDIR(found->st_mode) ? AT_REMOVEDIR : 0) == 0;
    if (!removed && errno != ENOTEMPTY) throw_errno(errno, cat("remove /", *path));
  }
  skeleton_.clear();
}

void CopiedRoot::write_changes(int upper, const std::string& opaque_xattr) {
  const cache::TreeView now = cache::TreeView::of_directory(fd());
  PlannedTree plan(nullptr);
  plan_changes(before_, fd(), now, opaque_xattr, plan);
  make_room(plan, upper);
  write_tree(plan, upper, nullptr);
  copy_metadata(sys::stat_fd(fd()), upper);
  remove_skeleton(plan);
}

}  // namespace cbuild::solver::ops
