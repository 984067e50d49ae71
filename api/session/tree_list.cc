// SPDX-License-Identifier: Apache-2.0
#include "api/session/tree_list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <map>
#include <utility>

#include "api/session/kept_metadata.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMaxDepth = 256;  // each takes a descriptor

class Lister {
 public:
  explicit Lister(const std::function<void(FileStat)>& sink) : sink_(sink) {}

  void list(int dirfd, const std::string& path, std::size_t depth) {
    if (depth >= kMaxDepth) throw Error(ErrorCode::input, cat(path, " is deeper than ", kMaxDepth, " directories"));
    for (const std::string& name : sys::list_dir(dirfd)) {
      const struct stat st = sys::stat_at(dirfd, name);
      if (S_ISSOCK(st.st_mode)) continue;
      const std::string child = child_path(path, name);
      sink_(stat_of(dirfd, name, child, st));
      if (!S_ISDIR(st.st_mode)) continue;
      const UniqueFd below = sys::open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      list(below.get(), child, depth + 1);
    }
  }

 private:
  FileStat stat_of(int dirfd, const std::string& name, const std::string& path, const struct stat& st) {
    FileStat entry{path, st.st_mode, st.st_uid, st.st_gid, 0, mtime_ns(st)};
    if (S_ISLNK(st.st_mode)) {
      entry.link = sys::readlink_at(dirfd, name);
      entry.size = entry.link.size();
      return entry;
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      entry.major = ::major(st.st_rdev);
      entry.minor = ::minor(st.st_rdev);
    }
    if (S_ISREG(st.st_mode) && st.st_nlink > 1) {
      const auto [first, is_new] = first_names_.try_emplace({st.st_dev, st.st_ino}, path);
      if (!is_new) entry.link = first->second;
    }
    if (S_ISREG(st.st_mode) && entry.link.empty()) entry.size = static_cast<std::uint64_t>(st.st_size);
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) entry.xattrs = sys::list_xattrs_at(dirfd, name);
    return entry;
  }

  const std::function<void(FileStat)>& sink_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
};

}  // namespace

void list_tree(int root_fd, const std::function<void(FileStat)>& sink) { Lister(sink).list(root_fd, "", 0); }

}  // namespace cbuild::api
