// SPDX-License-Identifier: Apache-2.0
// Directories first, then everything in them, then hard links, then the directories' own metadata, which making entries
// would change. Only the second part is many calls: creating a file and moving its bytes is nearly all of a copy's
// cost, so it is done on all cores when there are many, a stretch of a directory at a time.
#include "solver/ops/write_tree.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <unordered_map>

#include "base/error.h"
#include "base/owner.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "solver/ops/planned_walk.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::size_t kParallelFrom = 128, kStretch = 32;
constexpr int kSourceFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
constexpr int kTargetFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

struct Directory {
  std::string path;
  const PlannedNode* node;
};

struct Item {
  std::size_t directory;  ///< index
  const std::string* name;
  const PlannedNode* node;
};

/// Of a file that is copied from `from`, if it has a source.
std::vector<sys::Xattr> xattrs_of(const PlannedNode& node, int from) {
  std::vector<sys::Xattr> out = from >= 0 ? sys::list_xattrs(from) : std::vector<sys::Xattr>();
  std::erase_if(out, belongs_to_overlay);
  out.insert(out.end(), node.xattrs.begin(), node.xattrs.end());
  return out;
}

/// Gives an entry everything but its times; `name` is empty for the open file or directory `at`. Xattrs are best effort
/// without a recorder, as with BuildKit: a file system or a user namespace may refuse some.
void give(int at, const char* name, const PlannedNode& node, std::vector<sys::Xattr> xattrs, SideRecorder* side) {
  if (side != nullptr)
    return side->give(at, name, {node.mode, node.owner.uid, node.owner.gid, node.device, std::move(xattrs)});
  sys::set_owner(at, name, node.owner.uid, node.owner.gid);
  if (*name == '\0') {
    if (fchmod(at, node.mode & 07777) != 0) throw_errno(errno, "chmod");
  } else if (!S_ISLNK(node.mode) && fchmodat(at, name, node.mode & 07777, 0) != 0) {
    throw_errno(errno, "chmod");
  }
  for (const sys::Xattr& xattr : xattrs)
    if (S_ISREG(node.mode))
      (void)fsetxattr(at, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0);
    else
      sys::set_xattr_at(at, *name == '\0' ? "." : name, xattr);
}

/// A device node that may not be made is an empty file, and only its side metadata says that it is one.
void make_node(int directory, const std::string& name, const PlannedNode& node, SideRecorder* side) {
  if (mknodat(directory, name.c_str(), (node.mode & S_IFMT) | 0600, node.device) == 0) return;
  const int err = errno;
  if (err != EPERM || side == nullptr) throw_errno(err, "mknod");
  sys::open_at(directory, name, kTargetFlags, 0600).close_checked();
}

class TreeWriter {
 public:
  TreeWriter(const PlannedTree& tree, int root, SideRecorder* side, const CancelSource* cancel)
      : tree_(tree), root_(root), side_(side), cancel_(cancel) {}

  void write() {
    collect({}, tree_.root());
    for (std::size_t i = 1; i < directories_.size(); ++i) sys::mkdir_at(root_, directories_[i].path, 0700);
    write_items();
    for (const auto& [existing, name] : links_)
      if (linkat(root_, existing.c_str(), root_, name.c_str(), 0) != 0) throw_errno(errno, cat("link /", name));
    // Deepest first: setting a time does not change the directory above.
    for (std::size_t i = directories_.size(); --i > 0;) finish_directory(directories_[i]);
    if (tree_.sets_root_mtime()) set_mtime(root_, ".", tree_.root().mtime);
  }

 private:
  void collect(const std::string& path, const PlannedNode& node);
  void add_item(std::size_t directory, const std::string& name, const PlannedNode& node);
  void write_items() const;
  void write_stretch(std::size_t begin, std::size_t end) const;
  void write_file(int directory, const Item& item, SourceOpener& sources) const;
  void write_special(int directory, const Item& item) const;
  void finish_directory(const Directory& directory) const;
  std::string path_of(const Item& item) const {
    const std::string& directory = directories_[item.directory].path;
    return directory.empty() ? *item.name : cat(directory, '/', *item.name);
  }
  static void set_mtime(int fd, const std::string& name, struct timespec mtime) {
    const struct timespec times[2] = {mtime, mtime};
    if (utimensat(fd, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, cat("utimens ", name));
  }

  const PlannedTree& tree_;
  const int root_;
  SideRecorder* const side_;
  const CancelSource* cancel_;
  std::vector<Directory> directories_;  ///< parents before children
  std::vector<Item> items_;
  std::unordered_map<std::uint64_t, std::string> first_of_group_;
  std::vector<std::pair<std::string, std::string>> links_;  ///< (existing, new)
};

void TreeWriter::collect(const std::string& path, const PlannedNode& node) {
  const std::size_t index = directories_.size();
  directories_.push_back({path, &node});
  for (const auto& [name, child] : node.children)
    if (!S_ISDIR(child.mode)) add_item(index, name, child);
  for (const auto& [name, child] : node.children)
    if (S_ISDIR(child.mode)) collect(path.empty() ? name : cat(path, '/', name), child);
}

void TreeWriter::add_item(std::size_t directory, const std::string& name, const PlannedNode& node) {
  const Item item{directory, &name, &node};
  if (node.link_group != 0) {
    const auto [first, is_first] = first_of_group_.try_emplace(node.link_group, path_of(item));
    if (!is_first) {
      links_.emplace_back(first->second, path_of(item));
      return;
    }
  }
  items_.push_back(item);
}

void TreeWriter::write_items() const {
  if (items_.size() < kParallelFrom) return write_stretch(0, items_.size());
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, items_.size(), kStretch),
                    [this](const auto& range) { write_stretch(range.begin(), range.end()); });
}

void TreeWriter::write_stretch(std::size_t begin, std::size_t end) const {
  SourceOpener sources;
  UniqueFd directory;
  for (std::size_t i = begin; i < end; ++i) {
    if (cancel_) cancel_->check();
    const Item& item = items_[i];
    if (i == begin || item.directory != items_[i - 1].directory) {
      // Every parent is a real directory that only this build writes: nothing can lead out.
      const std::string& path = directories_[item.directory].path;
      directory = sys::open_at(root_, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    }
    try {
      S_ISREG(item.node->mode) ? write_file(directory.get(), item, sources) : write_special(directory.get(), item);
    } catch (Error& error) {
      throw error.add_context(cat("/", path_of(item)));
    }
  }
}

void TreeWriter::write_file(int directory, const Item& item, SourceOpener& sources) const {
  const PlannedNode& node = *item.node;
  UniqueFd in;
  struct stat now {};
  if (node.source) {
    in = sys::open_at(sources.open(node.source)->get(), node.source_name, kSourceFlags);
    now = sys::stat_fd(in.get());
    if (!S_ISREG(now.st_mode)) throw Error(ErrorCode::input, "it changed its type while it was copied");
  }
  UniqueFd out = sys::open_at(directory, *item.name, kTargetFlags, 0600);
  if (in)
    sys::copy_file_data(in.get(), out.get(), static_cast<std::uint64_t>(now.st_size));
  else
    sys::write_all(out.get(), node.text);
  give(out.get(), "", node, xattrs_of(node, in ? in.get() : -1), side_);
  const struct timespec times[2] = {node.mtime, node.mtime};
  if (futimens(out.get(), times) != 0) throw_errno(errno, "utimens");
  out.close_checked();
}

void TreeWriter::write_special(int directory, const Item& item) const {
  const PlannedNode& node = *item.node;
  const std::string& name = *item.name;
  if (S_ISCHR(node.mode) && node.device == 0) {
    make_whiteout(directory, name);
    return;
  }
  if (S_ISLNK(node.mode)) {
    if (symlinkat(node.text.c_str(), directory, name.c_str()) != 0) throw_errno(errno, "symlink");
  } else {
    make_node(directory, name, node, side_);
  }
  give(directory, name.c_str(), node, node.xattrs, side_);
  set_mtime(directory, name, node.mtime);
}

void TreeWriter::finish_directory(const Directory& directory) const {
  const UniqueFd fd = sys::open_at(root_, directory.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const PlannedNode& node = *directory.node;
  try {
    give(fd.get(), "", node, node.xattrs, side_);
    const struct timespec times[2] = {node.mtime, node.mtime};
    if (futimens(fd.get(), times) != 0) throw_errno(errno, "utimens");
  } catch (Error& error) {
    throw error.add_context(cat("/", directory.path));
  }
}

}  // namespace

void give_owner_and_mode(const cache::Staging& staging, uid_t uid, gid_t gid, mode_t mode) {
  if (SideRecorder* side = staging.side())
    side->give(staging.tree_fd(), "", {S_IFDIR | (mode & 07777), uid, gid});
  else
    sys::set_owner_and_mode(staging.tree_fd(), uid, gid, mode, "the root directory");
}

void write_tree(const PlannedTree& tree, int root, SideRecorder* side, const CancelSource* cancel) {
  TreeWriter(tree, root, side, cancel).write();
}

}  // namespace cbuild::solver::ops
