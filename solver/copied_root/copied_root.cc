// SPDX-License-Identifier: Apache-2.0
#include "solver/copied_root/copied_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/owner.h"
#include "base/text.h"
#include "cache/content/open_real.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

/// The mode, owner and time of one directory, or of an empty file, for another.
void copy_metadata(const struct stat& st, int to, SideRecorder* side) {
  if (side != nullptr)
    side->give(to, "", {st.st_mode, st.st_uid, st.st_gid});
  else
    sys::set_owner_and_mode(to, st.st_uid, st.st_gid, st.st_mode, "the root directory");
  const struct timespec times[2] = {st.st_mtim, st.st_mtim};
  if (::futimens(to, times) != 0) throw_errno(errno, "set the time of the root directory");
}

/// Tells an entry from another one of that name that was made later, maybe with the same inode number; zeros where
/// there is none.
CopiedRoot::Birth made_at(int root, const std::string& path) {
  struct statx info {};
  const char* at = path.empty() ? "." : path.c_str();
  if (::statx(root, at, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &info) != 0) return {};
  return {static_cast<std::int64_t>(info.stx_ino), info.stx_btime.tv_sec, info.stx_btime.tv_nsec};
}

/// Gives a directory its time again after an entry was made or removed in it.
class KeepTime {
 public:
  explicit KeepTime(int directory) : directory_(directory), time_(sys::stat_fd(directory).st_mtim) {}
  ~KeepTime() {
    const struct timespec times[2] = {time_, time_};
    (void)::futimens(directory_, times);
  }
  KeepTime(const KeepTime&) = delete;
  KeepTime& operator=(const KeepTime&) = delete;

 private:
  int directory_;
  struct timespec time_;
};

/// Removes what an empty stub of a skeleton was. `path` is that of a hostile tree: its upper parts are opened without
/// following links, or the place of a directory that the command has replaced by a link would be outside.
void remove_stub(int root, const std::string& path) {
  const auto parent = cache::open_real(root, parent_path(path), O_RDONLY | O_DIRECTORY);
  if (!parent) return;  // the command has moved it
  const std::string name = base_name(path);
  const auto found = sys::try_stat_at(parent->get(), name);
  if (!found) return;
  const KeepTime time(parent->get());
  const bool removed = ::unlinkat(parent->get(), name.c_str(), S_ISDIR(found->st_mode) ? AT_REMOVEDIR : 0) == 0;
  if (!removed && errno != ENOTEMPTY) throw_errno(errno, cat("remove /", path));
}

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
  write_tree(plan, fd(), staging_.side(), nullptr);
  if (const auto top = layers.lookup("")) copy_metadata(top->st, fd(), staging_.side());
}

std::shared_ptr<const SideMetadata> CopiedRoot::list_side() const {
  const SideRecorder* side = staging_.side();
  return side ? std::make_shared<const SideMetadata>(side->list(fd())) : nullptr;
}

void CopiedRoot::remember() {
  side_ = list_side();
  births_.clear();
  if (side_)
    for (const auto& [path, entry] : side_->entries()) births_.emplace(path, made_at(fd(), path));
  before_ = TreeSnapshot::take(fd(), side_);
}

/// What is said of a file counts as long as it is there: the number of an inode is used again.
void CopiedRoot::forget_replaced() {
  if (!side_) return;
  SideMetadata::Entries left;
  for (const auto& [path, entry] : side_->entries()) {
    if (made_at(fd(), path) == births_.at(path)) left.emplace(path, entry);
  }
  side_ = std::make_shared<const SideMetadata>(std::move(left), side_->owners_apart());
  staging_.side()->keep_only(fd(), *side_);
}

void CopiedRoot::add_skeleton(int skeleton) { add_skeleton(cache::TreeView::of_directory(skeleton), ""); }

void CopiedRoot::add_skeleton(const cache::TreeView& skeleton, const std::string& directory) {
  for (const auto& entry : skeleton.list(directory)) {
    const std::string path = child_path(directory, entry.name);
    const bool is_directory = S_ISDIR(entry.st.st_mode);
    if (!sys::try_stat_at(fd(), path)) {
      const UniqueFd parent = sys::open_beneath(fd(), directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
      const KeepTime time(parent.get());
      if (is_directory)
        sys::mkdir_at(fd(), path, 0700);
      else
        sys::open_at(fd(), path, O_WRONLY | O_CREAT | O_EXCL, 0600).close_checked();
      const UniqueFd made = sys::open_at(fd(), path, O_RDONLY | O_NOFOLLOW);
      copy_metadata(entry.st, made.get(), staging_.side());
      skeleton_.push_back(path);
    }
    if (is_directory) add_skeleton(skeleton, path);
  }
}

/// Those that a command has changed, or put something into, are a part of its layer.
void CopiedRoot::remove_skeleton(const PlannedTree& changes) {
  for (auto path = skeleton_.rbegin(); path != skeleton_.rend(); ++path)
    if (changes.kind(*path) == PlannedTree::Kind::missing) remove_stub(fd(), *path);
  skeleton_.clear();
}

void CopiedRoot::write_changes(int upper, const std::string& opaque_xattr) {
  forget_replaced();
  const cache::TreeView now = cache::TreeView::of_directory(fd(), side_);
  PlannedTree plan(nullptr);
  plan_changes(before_, fd(), now, opaque_xattr, plan);
  make_room(plan, upper);
  std::optional<SideRecorder> upper_side;
  if (side_) upper_side.emplace(side_->owners_apart());
  SideRecorder* const recorder = upper_side ? &*upper_side : nullptr;
  write_tree(plan, upper, recorder, nullptr);
  copy_metadata(now.lookup("")->st, upper, recorder);
  if (recorder != nullptr) recorder->save(upper);
  remove_skeleton(plan);
}

}  // namespace cbuild::solver::ops
