// SPDX-License-Identifier: Apache-2.0
// The list comes sorted by the parts of its paths, so that it is the walk of a tree: a stack of open directories is all
// that is needed to compare it with a tree of this machine, and a path is never looked up.
#include "api/session/tree_walk.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw Error(ErrorCode::input, cat("the list of files from the client is wrong: ", go_quote(path), " ", why));
}

}  // namespace

TreeWalk::TreeWalk(int root_fd, std::size_t depth) : depth_(depth) {
  UniqueFd fd = sys::open_at(root_fd, ".", kDirectory);
  std::vector<std::string> names = sys::list_dir(fd.get());
  levels_.push_back({std::move(fd), "", kRoot, std::move(names)});
}

TreeWalk::Place TreeWalk::next(const std::string& path) {
  const std::string parent = parent_path(path);
  while (levels_.back().path != parent) {
    if (levels_.size() == 1) refuse(path, "is not in order, or comes without its directory");
    leave();
  }
  Level& level = levels_.back();
  std::string name = base_name(path);
  if (!level.last.empty() && name <= level.last) refuse(path, cat("comes after ", go_quote(level.last)));
  while (level.at < level.names.size() && level.names[level.at] < name) remove(level);
  const bool is_here = level.at < level.names.size() && level.names[level.at] == name;
  if (is_here) ++level.at;
  level.last = name;
  std::optional<struct stat> here;
  if (is_here) here = sys::try_stat_at(level.fd.get(), name);
  return {level.fd.get(), std::move(name), here, level.number};
}

void TreeWalk::enter(const Place& place, const std::string& path, std::size_t number) {
  if (levels_.size() >= depth_) refuse(path, cat("is deeper than ", depth_, " directories"));
  if (place.here && (place.here->st_mode & 0700) != 0700 &&
      ::fchmodat(place.dirfd, place.name.c_str(), place.here->st_mode | 0700, 0) != 0)
    throw_errno(errno, cat("chmod ", path));
  UniqueFd fd = sys::open_at(place.dirfd, place.name, kDirectory);
  std::vector<std::string> names = place.here ? sys::list_dir(fd.get()) : std::vector<std::string>();
  levels_.push_back({std::move(fd), path, number, std::move(names)});
}

void TreeWalk::end() {
  while (levels_.size() > 1) leave();
  Level& root = levels_.back();
  while (root.at < root.names.size()) remove(root);
}

void TreeWalk::leave() {
  Level& level = levels_.back();
  while (level.at < level.names.size()) remove(level);
  levels_.pop_back();
}

void TreeWalk::remove(Level& level) {
  sys::remove_all_at(level.fd.get(), level.names[level.at++]);
  if (changed_.empty() || changed_.back() != level.number) changed_.push_back(level.number);
}

UniqueFd open_directory(int root_fd, const std::string& path) {
  UniqueFd fd = sys::open_at(root_fd, ".", kDirectory);
  if (path.empty()) return fd;
  for (const std::string& part : split(path, '/')) fd = sys::open_at(fd.get(), part, kDirectory);
  return fd;
}

}  // namespace cbuild::api
