// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/resolved_dirs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kKeptOpen = 16;
constexpr int kDirFlags = O_RDONLY | O_DIRECTORY;

/// A name that only opens if it is a directory, links followed.
std::string as_directory(const std::string& path) { return path.empty() ? "." : path + "/."; }

void prepend_components(std::deque<std::string>& todo, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  std::erase_if(parts, [](const std::string& part) { return part.empty() || part == "."; });
  todo.insert(todo.begin(), parts.begin(), parts.end());
}

}  // namespace

SharedDir make_target_dir(UniqueFd fd) {
  const struct stat st = sys::stat_fd(fd.get());
  return std::make_shared<const TargetDir>(TargetDir{std::move(fd), st.st_ino, (st.st_mode & S_ISGID) != 0});
}

std::pair<std::string, std::string> split_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

SharedDir ResolvedDirs::cached(const std::string& path) {
  const auto at = std::find_if(open_.rbegin(), open_.rend(), [&](const auto& kept) { return kept.first == path; });
  if (at == open_.rend()) return nullptr;
  std::rotate(at.base() - 1, at.base(), open_.end());
  return open_.back().second;
}

void ResolvedDirs::remember(const std::string& path, SharedDir dir) {
  std::erase_if(open_, [&](const auto& kept) { return kept.first == path; });
  if (open_.size() == kKeptOpen) open_.erase(open_.begin());
  open_.emplace_back(path, std::move(dir));
}

SharedDir ResolvedDirs::find(const std::string& path) {
  if (SharedDir dir = cached(path)) return dir;
  std::optional<UniqueFd> fd = sys::try_open_in_root(rootfd_, as_directory(path), O_RDONLY);
  if (!fd) return nullptr;
  SharedDir dir = make_target_dir(std::move(*fd));
  remember(path, dir);
  return dir;
}

SharedDir ResolvedDirs::make(const std::string& path) {
  if (SharedDir dir = find(path)) return dir;
  hooks_.missing();
  SharedDir dir = make_stepwise(path);
  remember(path, dir);
  return dir;
}

/// Walks component by component, makes missing directories, and follows symlinks by hand, so that the directory a
/// dangling link points to is made where a process inside the tree would look for it.
SharedDir ResolvedDirs::make_stepwise(const std::string& path) {
  const SharedDir root = make_target_dir(sys::open_at(rootfd_, ".", kDirFlags));
  std::vector<SharedDir> chain{root};
  std::deque<std::string> todo;
  prepend_components(todo, path);
  for (int symlinks = 0; !todo.empty();) {
    const std::string name = std::move(todo.front());
    todo.pop_front();
    if (name == "..") {
      if (chain.size() > 1) chain.pop_back();
      continue;
    }
    const TargetDir& here = *chain.back();
    const auto st = sys::try_stat_at(here.fd.get(), name);
    if (st && S_ISLNK(st->st_mode)) {
      if (++symlinks > kMaxSymlinks) throw Error(ErrorCode::corrupt, path + ": too many symlinks");
      const std::string target = sys::readlink_at(here.fd.get(), name);
      if (target.starts_with('/')) chain.resize(1);
      prepend_components(todo, target);
      continue;
    }
    if (st && !S_ISDIR(st->st_mode)) throw Error(ErrorCode::corrupt, cat(path, ": ", name, " is not a directory"));
    if (!st) sys::mkdir_at(here.fd.get(), name, 0755);
    const SharedDir next = make_target_dir(sys::open_at(here.fd.get(), name, kDirFlags | O_NOFOLLOW));
    if (!st) {
      if (fchmod(next->fd.get(), 0755) != 0) throw_errno(errno, path);  // whatever the umask
      hooks_.made(here, name, *next);
    }
    chain.push_back(next);
  }
  return chain.back();
}

}  // namespace cbuild::oci::layer
