// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/whiteouts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

bool has_meta_component(std::string_view path) {
  return path.starts_with(kMetaPrefix) || path.find("/.wh..wh.") != std::string_view::npos;
}

std::string key_of(const TargetDir& parent, const std::string& name) { return cat(parent.inode, "/", name); }

}  // namespace

Marker marker_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (name == kOpaqueName) return Marker::opaque;
  if (has_meta_component(path)) return Marker::ignored;
  if (!name.starts_with(kWhiteoutPrefix)) return Marker::none;
  const std::string_view hidden = name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") throw Error(ErrorCode::corrupt, "whiteout of nothing");
  return Marker::whiteout;
}

bool WhiteoutRules::apply(Marker marker, const TargetDir& parent, const std::string& name) {
  const bool overlay = mode_ == Whiteouts::overlay;
  if (marker == Marker::opaque) {
    overlay ? make_opaque(parent.fd.get()) : remove_lower_children(parent);
  } else {
    const std::string hidden = name.substr(kWhiteoutPrefix.size());
    overlay ? hide(parent, hidden) : remove_lower(parent, hidden);
  }
  return !overlay;
}

void WhiteoutRules::note_made(const TargetDir& parent, const std::string& name) {
  if (mode_ == Whiteouts::apply) own_.insert(key_of(parent, name));
}

bool WhiteoutRules::is_own(const TargetDir& parent, const std::string& name) const {
  return own_.contains(key_of(parent, name));
}

bool WhiteoutRules::stands_at(const TargetDir& parent, const std::string& name) const {
  if (mode_ != Whiteouts::overlay) return false;
  const auto st = sys::try_stat_at(parent.fd.get(), name);
  return st && is_whiteout(*st);
}

void WhiteoutRules::make_opaque(int dirfd) const {
  const char* name = opaque_xattr(user_xattr_);
  if (fsetxattr(dirfd, name, "y", 1, 0) != 0) throw_errno(errno, name);
}

/// An entry that exists here is of this layer: a file replaces the lower one by itself, a directory must not merge with
/// it.
void WhiteoutRules::hide(const TargetDir& parent, const std::string& name) const {
  if (make_whiteout(parent.fd.get(), name)) return;
  const struct stat st = sys::stat_at(parent.fd.get(), name);
  if (!S_ISDIR(st.st_mode)) return;
  make_opaque(sys::open_at(parent.fd.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
}

void WhiteoutRules::remove_lower_children(const TargetDir& dir) {
  for (const std::string& name : sys::list_dir(dir.fd.get())) remove_lower(dir, name);
}

void WhiteoutRules::remove_lower(const TargetDir& parent, const std::string& name) {
  const int parent_fd = parent.fd.get();
  const auto st = sys::try_stat_at(parent_fd, name);
  if (!st) return;
  const bool own = is_own(parent, name);
  if (!S_ISDIR(st->st_mode)) {
    if (!own) sys::unlink_at(parent_fd, name);
    return;
  }
  const SharedDir dir = make_target_dir(sys::open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  remove_lower_children(*dir);
  if (own) return;
  // Something of this layer may be left in it.
  if (unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != EEXIST) {
    throw_errno(errno, name);
  }
}

}  // namespace cbuild::oci::layer
