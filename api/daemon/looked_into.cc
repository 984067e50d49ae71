// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/looked_into.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMostRead = 16u << 20;

/// Go's os.FileMode.
std::uint32_t go_mode(mode_t mode) {
  std::uint32_t out = mode & 0777;
  if (S_ISDIR(mode)) out |= 1u << 31;
  if (S_ISLNK(mode)) out |= 1u << 27;
  if (S_ISFIFO(mode)) out |= 1u << 25;
  if (S_ISSOCK(mode)) out |= 1u << 24;
  if (S_ISCHR(mode)) out |= (1u << 26) | (1u << 21);
  if (S_ISBLK(mode)) out |= 1u << 26;
  if (mode & S_ISUID) out |= 1u << 23;
  if (mode & S_ISGID) out |= 1u << 22;
  if (mode & S_ISVTX) out |= 1u << 20;
  return out;
}

fsutil::types::Stat to_stat(int parent, const std::string& name, const std::string& shown) {
  struct stat st {};
  if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0) throw_errno(errno, shown);
  fsutil::types::Stat out;
  out.set_path(shown);
  out.set_mode(go_mode(st.st_mode));
  out.set_uid(st.st_uid);
  out.set_gid(st.st_gid);
  out.set_size(S_ISDIR(st.st_mode) ? 0 : st.st_size);
  out.set_mod_time(st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec);
  if (S_ISLNK(st.st_mode)) out.set_linkname(sys::readlink_at(parent, name));
  return out;
}

UniqueFd open_below(const TempDir& root, const std::string& path, int flags) {
  auto file = sys::try_open_in_root(root.fd(), path.empty() ? "." : path, flags);
  if (!file) throw Error(ErrorCode::not_found, cat("open ", path, ": no such file or directory"));
  return std::move(*file);
}

}  // namespace

ResultTree::ResultTree(const std::string& store)
    : directory_(std::make_shared<TempDir>(sys::open_at(AT_FDCWD, store, O_PATH | O_DIRECTORY).get(), "looked-into-")) {
}

std::string ResultTree::read(const std::string& path, std::int64_t offset, std::int64_t length) const {
  const UniqueFd file = open_below(*directory_, path, O_RDONLY | O_NONBLOCK);
  if (!S_ISREG(sys::stat_fd(file.get()).st_mode)) throw Error(ErrorCode::input, cat(path, " is not a regular file"));
  if (offset < 0 || length < 0) throw Error(ErrorCode::usage, "a range that begins or ends below zero");
  if (lseek(file.get(), offset, SEEK_SET) < 0) throw_errno(errno, path);
  const std::string data = sys::read_all(file.get(), kMostRead + static_cast<std::size_t>(offset));
  return length == 0 ? data : data.substr(0, static_cast<std::size_t>(length));
}

std::vector<fsutil::types::Stat> ResultTree::list(const std::string& path, const std::string& pattern) const {
  UniqueFd opened = open_below(*directory_, path, O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(opened.get()), closedir);
  if (!directory) throw_errno(errno, path);
  const int fd = opened.release();
  std::vector<fsutil::types::Stat> out;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || (!pattern.empty() && !match_glob(pattern, name).value_or(false))) continue;
    out.push_back(to_stat(fd, name, name));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path() < b.path(); });
  return out;
}

fsutil::types::Stat ResultTree::stat(const std::string& path) const {
  const std::string parent = dir_name(path);
  const UniqueFd directory = open_below(*directory_, parent.empty() ? "." : parent, O_PATH | O_DIRECTORY);
  const std::string name = base_name(path);
  if (name.empty() || name == "/" || name == "." || name == "..")
    return to_stat(open_below(*directory_, path, O_PATH).get(), "", path);
  struct stat st {};
  if (fstatat(directory.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    throw Error(ErrorCode::not_found, cat("lstat ", path, ": no such file or directory"));
  return to_stat(directory.get(), name, name);
}

}  // namespace cbuild::api
