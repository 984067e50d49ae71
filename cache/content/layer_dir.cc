// SPDX-License-Identifier: Apache-2.0
#include "cache/content/layer_dir.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "cache/content/open_real.h"

namespace cbuild::cache {

// The parents are known to be real directories in this layer and layers do not change, so the path holds no
// surprise.
std::optional<struct stat> LayerDir::lookup(const std::string& path) const {
  struct stat st;
  if (::fstatat(fd_.get(), path.c_str(), &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0) {
    if (side_) side_->correct(path, st);
    return st;
  }
  const int err = errno;
  if (err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG) return std::nullopt;
  throw_errno(err, "stat " + path);
}

std::optional<struct stat> LayerDir::lookup_checked(const std::string& path) const {
  const auto file = open_real(fd_.get(), path, O_PATH | O_NOFOLLOW);
  if (!file) return std::nullopt;
  struct stat st = sys::stat_fd(file->get());
  if (side_) side_->correct(path, st);
  return st;
}

bool LayerDir::is_opaque(const std::string& path, const char* xattr) const {
  const auto dir = open_real(fd_.get(), path, O_RDONLY | O_DIRECTORY);
  char value = 0;
  return dir && ::fgetxattr(dir->get(), xattr, &value, 1) == 1 && value == 'y';
}

std::optional<std::vector<LayerTree::Child>> LayerDir::list(const std::string& path, const Wanted& wanted) const {
  const auto dir = open_real(fd_.get(), path, O_RDONLY | O_DIRECTORY);
  if (!dir) return std::nullopt;
  std::vector<Child> out;
  for (std::string& name : sys::list_dir(dir->get())) {
    if (!wanted(name)) continue;
    auto st = sys::try_stat_at(dir->get(), name);
    if (st && side_) side_->correct(child_path(path, name), *st);
    if (st) out.push_back({std::move(name), *st});  // a local file may vanish while we look
  }
  return out;
}

std::string LayerDir::read_link(const std::string& path) const {
  const auto link = open(path, O_PATH | O_NOFOLLOW);
  if (!link) throw_missing(path);
  return sys::readlink_at(link->get(), "");
}

std::vector<sys::Xattr> LayerDir::xattrs(const std::string& path) const {
  const auto parent = open_real(fd_.get(), path.empty() ? "" : parent_path(path), O_PATH | O_DIRECTORY);
  if (!parent) throw_missing(path);
  auto found = sys::list_xattrs_at(parent->get(), path.empty() ? "." : base_name(path));
  if (const SideEntry* entry = side_ ? side_->find(path) : nullptr) {
    found.insert(found.end(), entry->wanted.xattrs.begin(), entry->wanted.xattrs.end());
    std::sort(found.begin(), found.end());
  }
  return found;
}

std::optional<UniqueFd> LayerDir::open(const std::string& path, int flags) const {
  return open_real(fd_.get(), path, flags);
}

std::vector<std::string> LayerDir::list_names(const std::string& path) const {
  const auto dir = open_real(fd_.get(), path, O_RDONLY | O_DIRECTORY);
  return dir ? sys::list_dir(dir->get()) : std::vector<std::string>{};
}

}  // namespace cbuild::cache
