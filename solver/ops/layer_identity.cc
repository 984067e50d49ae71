// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/layer_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <utility>

#include "base/sys.h"

namespace cbuild::solver::ops {
namespace {

bool counts(const std::string& xattr) {
  return xattr == "security.capability" || xattr.ends_with(".overlay.opaque") ||
         (xattr.starts_with("user.") && !xattr.starts_with("user.overlay."));
}

class Walk {
 public:
  Walk(std::uint64_t max_bytes, std::uint64_t max_entries) : bytes_left_(max_bytes), entries_left_(max_entries) {}

  /// False when a limit was passed.
  bool directory(int fd) {
    for (const std::string& name : sys::list_dir(fd))
      if (!entry(fd, name)) return false;
    out_.tag('.');
    return true;
  }

  Digest digest() const { return out_.hash(); }

 private:
  bool entry(int parent, const std::string& name) {
    if (entries_left_-- == 0) return false;
    const struct stat st = sys::stat_at(parent, name);
    out_.tag('e').text(name).number(st.st_mode).number(st.st_uid).number(st.st_gid);
    xattrs(parent, name);
    if (S_ISLNK(st.st_mode)) out_.text(sys::readlink_at(parent, name));
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) out_.number(st.st_rdev);
    if (S_ISREG(st.st_mode)) return file(parent, name, st);
    if (S_ISDIR(st.st_mode)) return directory(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
    return true;
  }

  void xattrs(int parent, const std::string& name) {
    for (const sys::Xattr& xattr : sys::list_xattrs_at(parent, name))
      if (counts(xattr.name)) out_.tag('x').text(xattr.name).text(xattr.value);
  }

  bool file(int parent, const std::string& name, const struct stat& st) {
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size > bytes_left_) return false;
    bytes_left_ -= size;
    if (st.st_nlink > 1) {
      const auto [known, fresh] = hard_links_.try_emplace({st.st_dev, st.st_ino}, entries_left_);
      if (!fresh) {
        out_.tag('h').number(known->second);
        return true;
      }
    }
    if (size == 0) {
      out_.number(0);
      return true;
    }
    out_.number(size).digest(sha256_fd(sys::open_at(parent, name, O_RDONLY | O_NOFOLLOW).get()));
    return true;
  }

  CanonicalWriter out_;
  std::uint64_t bytes_left_, entries_left_;
  std::map<std::pair<dev_t, ino_t>, std::uint64_t> hard_links_;
};

}  // namespace

std::optional<Digest> layer_identity(int tree_fd, std::uint64_t max_bytes, std::uint64_t max_entries) {
  Walk walk(max_bytes, max_entries);
  if (!walk.directory(tree_fd)) return std::nullopt;
  return walk.digest();
}

}  // namespace cbuild::solver::ops
