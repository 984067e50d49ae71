// SPDX-License-Identifier: Apache-2.0
// Mounts by moving and copying. Every target is resolved in the root and then held by the descriptor of its parent, so
// what a command does to the names on the way changes nothing about the place that is put back.
#include "solver/copied_root/mount_stand_ins.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/duplicate.h"
#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

struct Node {
  const char* name;
  unsigned minor;
};
constexpr Node kMemoryNodes[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
constexpr std::pair<const char*, const char*> kLinks[] = {{"fd", "/proc/self/fd"},
                                                          {"stdin", "/proc/self/fd/0"},
                                                          {"stdout", "/proc/self/fd/1"},
                                                          {"stderr", "/proc/self/fd/2"},
                                                          {"ptmx", "pts/ptmx"}};

void set_mode(int directory, const std::string& name, mode_t mode) {
  if (::fchmodat(directory, name.c_str(), mode, 0) != 0) throw_errno(errno, cat("chmod ", name));
}

void make_directory(int parent, const std::string& name, mode_t mode) {
  sys::mkdir_at(parent, name, 0700);
  set_mode(parent, name, mode);
}

/// Best effort: not every container may make nodes.
void make_node(int directory, const char* name, unsigned major, unsigned minor) {
  if (::mknodat(directory, name, S_IFCHR | 0666, makedev(major, minor)) == 0) set_mode(directory, name, 0666);
}

void write_content(int parent, const std::string& name, const sandbox::ContentSource& file) {
  UniqueFd out = sys::open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  sys::write_all(out.get(), file.content);
  sys::set_owner(out.get(), "", file.uid, file.gid);
  if (::fchmod(out.get(), file.mode) != 0) throw_errno(errno, cat("chmod ", name));
  out.close_checked();
}

/// The directory and name that an open file or directory of the store has now.
MountStandIns::Origin place_of(int fd) {
  const std::string path = sys::readlink_at(AT_FDCWD, sys::fd_path(fd));
  UniqueFd parent = sys::open_at(AT_FDCWD, parent_path(path), O_PATH | O_DIRECTORY);
  std::string name = path.substr(path.rfind('/') + 1);
  const struct stat held = sys::stat_fd(fd), named = sys::stat_at(parent.get(), name);
  if (held.st_ino != named.st_ino || held.st_dev != named.st_dev)
    throw Error(ErrorCode::unsupported, cat("the cache mount at ", path, " was moved"));
  return {std::move(parent), std::move(name)};
}

/// A command can remove its cache mount as a whole here: the next one gets an empty directory.
bool give_back(int parent, const std::string& name, const MountStandIns::Origin& origin) {
  if (::renameat(parent, name.c_str(), origin.parent.get(), origin.name.c_str()) == 0) return true;
  sys::mkdir_at(origin.parent.get(), origin.name, 0755);
  return false;
}

void set_time(int directory, const struct timespec& time) {
  const struct timespec times[2] = {time, time};
  // Through /proc, since it is open for its path only.
  (void)::utimensat(AT_FDCWD, sys::fd_path(directory).c_str(), times, 0);
}

}  // namespace

MountStandIns::~MountStandIns() {
  try {
    remove();
  } catch (const std::exception&) {
    // A cache mount may be lost with the build's own error, never be wrong.
  }
}

/// Frees the name that `target` leads to. Missing parts are those inside of an earlier mount.
MountStandIns::Placed& MountStandIns::make_place(const std::string& target) {
  const cache::TreeView tree = cache::TreeView::of_directory(root_.fd());
  const std::string path = tree.resolve_for_create(relative(target));
  if (path.empty()) throw Error(ErrorCode::input, cat("invalid mount target ", go_quote(target)));
  std::string made;
  for (const std::string& part : split(parent_path(path), '/')) {
    if (part.empty()) continue;
    made = child_path(made, part);
    if (!tree.lookup(made)) make_directory(root_.fd(), made, 0755);
  }
  const std::string above = parent_path(path);
  Placed placed{sys::open_in_root(root_.fd(), above.empty() ? "." : above, O_PATH | O_DIRECTORY),
                path.substr(above.empty() ? 0 : above.size() + 1),
                path,
                {},
                {},
                {}};
  root_.before().touch(above);
  placed.parent_time = sys::stat_fd(placed.parent.get()).st_mtim;
  const std::string aside = std::to_string(placed_.size());
  if (::renameat(placed.parent.get(), placed.name.c_str(), aside_.tree_fd(), aside.c_str()) == 0)
    placed.aside = aside;
  else if (errno != ENOENT)
    throw_errno(errno, cat("move ", target, " aside"));
  placed_.push_back(std::move(placed));
  return placed_.back();
}

void MountStandIns::place_devices(const sandbox::Spec& spec) {
  const Placed& at = make_place("/dev");
  make_directory(at.parent.get(), at.name, 0755);
  const UniqueFd dev = sys::open_at(at.parent.get(), at.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  for (const Node& node : kMemoryNodes) make_node(dev.get(), node.name, 1, node.minor);
  make_node(dev.get(), "tty", 5, 0);
  for (const char* name : {"pts", "mqueue"}) make_directory(dev.get(), name, 0755);
  make_directory(dev.get(), "shm", 01777);
  for (const auto& [name, to] : kLinks)
    if (::symlinkat(to, dev.get(), name) != 0) throw_errno(errno, cat("symlink /dev/", name));
  if (!spec.devices.empty())
    throw Error(ErrorCode::unsupported, "devices cannot be given to a step where nothing can be mounted")
        .with_hint("run the container with more rights; `--isolation` names the modes");
}

/// Two steps that share a cache have to take turns; in one order, so that they never wait for each other.
void MountStandIns::lock_caches(const sandbox::Spec& spec) {
  std::map<std::pair<dev_t, ino_t>, int> caches;
  for (const sandbox::Mount& mount : spec.mounts) {
    const auto* bind = std::get_if<sandbox::BindSource>(&mount.source);
    if (bind == nullptr) continue;
    const struct stat st = sys::stat_fd(bind->fd);
    if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) caches.emplace(std::pair{st.st_dev, st.st_ino}, bind->fd);
  }
  for (const auto& [inode, fd] : caches) {
    UniqueFd lock = sys::open_at(AT_FDCWD, sys::fd_path(fd), O_RDONLY);
    while (::flock(lock.get(), LOCK_EX) != 0)
      if (errno != EINTR) throw_errno(errno, "lock a cache mount");
    locks_.push_back(std::move(lock));
  }
}

void MountStandIns::place_socket(const Placed& at, int socket) {
  if (::linkat(AT_FDCWD, sys::fd_path(socket).c_str(), at.parent.get(), at.name.c_str(), AT_SYMLINK_FOLLOW) == 0)
    return;
  const int error = errno;
  throw Error(ErrorCode::unsupported, cat("the agent's socket cannot be shown at /", at.path,
                                          ": nothing can be mounted here, and it is on another file system"))
      .with_errno(error)
      .with_hint("put the agent's socket on the file system of the store");
}

void MountStandIns::place_copy(const Placed& at, const sandbox::OverlaySource& source, bool user_xattr) {
  std::vector<UniqueFd> layers;
  for (const int fd : source.lower_fds) layers.push_back(duplicate(fd));
  const cache::TreeView view(std::move(layers), true, user_xattr);
  const auto from = view.resolve(relative(source.path));
  const auto entry = from ? view.lookup(*from) : std::nullopt;
  if (!entry) throw Error(ErrorCode::not_found, cat(go_quote(source.path), ": not found"));
  PlannedTree plan(nullptr);
  TreeCopier copier(view, plan, {});
  if (!S_ISDIR(entry->st.st_mode)) {
    copier.copy_file(*from, at.name);
    return write_tree(plan, at.parent.get(), nullptr, nullptr);
  }
  copier.copy_contents(*from, "", true);
  make_directory(at.parent.get(), at.name, entry->st.st_mode & 07777);
  const UniqueFd directory = sys::open_at(at.parent.get(), at.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  sys::set_owner(directory.get(), "", entry->st.st_uid, entry->st.st_gid);
  write_tree(plan, directory.get(), nullptr, nullptr);
}

/// One cache that is shown twice lies at its first target, and a link at the other one leads there.
const MountStandIns::Placed* MountStandIns::placed_before(int cache) const {
  const struct stat st = sys::stat_fd(cache);
  const auto found = std::find_if(placed_.begin(), placed_.end(), [&](const Placed& placed) {
    return placed.origin && placed.cache == std::pair{st.st_dev, st.st_ino};
  });
  return found == placed_.end() ? nullptr : &*found;
}

void MountStandIns::link_to(const Placed& first, const Placed& at) {
  std::string to;
  for (const char c : at.path)
    if (c == '/') to += "../";
  to += first.path;
  if (::symlinkat(to.c_str(), at.parent.get(), at.name.c_str()) != 0)
    throw_errno(errno, cat("link /", at.path, " to /", first.path));
}

void MountStandIns::place_mount(const sandbox::Mount& mount, bool user_xattr) {
  Placed& at = make_place(mount.target);
  if (const auto* content = std::get_if<sandbox::ContentSource>(&mount.source))
    return write_content(at.parent.get(), at.name, *content);
  if (const auto* tmpfs = std::get_if<sandbox::TmpfsSource>(&mount.source))
    return make_directory(at.parent.get(), at.name, tmpfs->mode);
  if (const auto* overlay = std::get_if<sandbox::OverlaySource>(&mount.source))
    return place_copy(at, *overlay, user_xattr);
  const int fd = std::get<sandbox::BindSource>(mount.source).fd;
  if (S_ISSOCK(sys::stat_fd(fd).st_mode)) return place_socket(at, fd);
  if (const Placed* first = placed_before(fd)) return link_to(*first, at);
  const struct stat st = sys::stat_fd(fd);
  at.cache = {st.st_dev, st.st_ino};
  at.origin = place_of(fd);
  sys::rename_at(at.origin->parent.get(), at.origin->name, at.parent.get(), at.name);
}

void MountStandIns::place(const sandbox::Spec& spec, bool user_xattr) {
  lock_caches(spec);
  place_devices(spec);
  const auto file = [this](const std::string& text, const char* path) {
    if (text.empty()) return;
    const Placed& at = make_place(path);
    write_content(at.parent.get(), at.name, {text, 0, 0, 0644});
  };
  file(spec.resolv_conf, "/etc/resolv.conf");
  file(spec.hosts_file, "/etc/hosts");
  for (const sandbox::Mount& mount : spec.mounts) place_mount(mount, user_xattr);
  // The command sees the directories as they were; innermost first, because a mount can lie in another.
  for (auto placed = placed_.rbegin(); placed != placed_.rend(); ++placed)
    set_time(placed->parent.get(), placed->parent_time);
}

void MountStandIns::take_away(Placed& placed) {
  const struct timespec time = sys::stat_fd(placed.parent.get()).st_mtim;
  if (!placed.origin || !give_back(placed.parent.get(), placed.name, *placed.origin))
    sys::remove_all_at(placed.parent.get(), placed.name);
  const bool was_there = !placed.aside.empty();
  // The command may have removed the directory above: then what was in it is gone, too.
  if (was_there && ::renameat(aside_.tree_fd(), placed.aside.c_str(), placed.parent.get(), placed.name.c_str()) != 0 &&
      errno != ENOENT)
    throw_errno(errno, cat("put back /", placed.path));
  set_time(placed.parent.get(), time);
  if (was_there) root_.before().refresh(root_.fd(), placed.path);
}

void MountStandIns::remove() {
  while (!placed_.empty()) {
    Placed placed = std::move(placed_.back());
    placed_.pop_back();
    take_away(placed);
  }
  locks_.clear();
}

}  // namespace cbuild::solver::ops
