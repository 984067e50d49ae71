// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/dest_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <deque>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr unsigned kMaxSymlinks = 255;

std::deque<std::string> parts_of(const std::string& path) {
  std::deque<std::string> parts;
  for (std::string& part : split(path, '/'))
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  return parts;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string child(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : cat(directory, '/', name);
}

bool is_whiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == 0; }

DestTree::Kind kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return DestTree::Kind::directory;
  return S_ISLNK(mode) ? DestTree::Kind::symlink : DestTree::Kind::other;
}

}  // namespace

DestTree::DestTree(const cache::TreeView* base, int upper_fd) : base_(base), upper_(upper_fd) {}

std::string DestTree::dir_of(const std::string& path) { return parent_of(path); }

DestTree::Kind DestTree::kind(const std::string& path) const {
  if (path.empty()) return Kind::directory;
  // The upper is written by us alone and its parents are real directories, so a plain relative walk is safe.
  if (const auto st = sys::try_stat_at(upper_, path)) return is_whiteout(*st) ? Kind::missing : kind_of(st->st_mode);
  for (std::string up = parent_of(path); !up.empty(); up = parent_of(up)) {
    const auto st = sys::try_stat_at(upper_, up);
    if (st && !S_ISDIR(st->st_mode)) return Kind::missing;  // a file of the upper hides the base's directory
    if (st) break;
  }
  if (base_ == nullptr) return Kind::missing;
  const auto entry = base_->lookup(path);
  return entry ? kind_of(entry->st.st_mode) : Kind::missing;
}

std::string DestTree::resolve(const std::string& path) const {
  std::deque<std::string> todo = parts_of(path);
  std::string real;
  unsigned links = 0;
  while (!todo.empty()) {
    const std::string part = std::move(todo.front());
    todo.pop_front();
    if (part == "..") {
      real = parent_of(real);
      continue;
    }
    const std::string next = child(real, part);
    if (kind(next) != Kind::symlink) {
      real = next;
      continue;
    }
    if (++links > kMaxSymlinks) throw Error(ErrorCode::input, cat("too many levels of symbolic links: /", path));
    const std::string target = sys::try_stat_at(upper_, next) ? sys::readlink_at(upper_, next) : base_->read_link(next);
    if (target.starts_with('/')) real.clear();
    std::deque<std::string> more = parts_of(target);
    todo.insert(todo.begin(), more.begin(), more.end());
  }
  return real;
}

int DestTree::dir(const std::string& path) {
  if (path.empty()) return upper_;
  if (!cached_dir_ || cached_path_ != path) {
    cached_dir_ = sys::open_beneath(upper_, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    cached_path_ = path;
  }
  return cached_dir_.get();
}

void DestTree::copy_up_dir(const std::string& path, const cache::TreeView::Entry& entry) {
  const std::string name = base_name(path);
  const int parent = open_parent(path);
  sys::mkdir_at(parent, name, 0700);
  if (fchownat(parent, name.c_str(), entry.st.st_uid, entry.st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    throw_errno(errno, cat("chown /", path));
  if (fchmodat(parent, name.c_str(), entry.st.st_mode & 07777, 0) != 0) throw_errno(errno, cat("chmod /", path));
  for (const sys::Xattr& xattr : base_->xattrs(path))
    if (xattr.name.find(".overlay.") == std::string::npos) sys::set_xattr_at(parent, name, xattr);
  set_dir_mtime(path, entry.st.st_mtim);
}

bool DestTree::make_dir_entry(const std::string& path) {
  if (path.empty()) return false;
  const auto st = sys::try_stat_at(upper_, path);
  if (st && S_ISDIR(st->st_mode)) return false;
  const Kind had = kind(path);
  if (had == Kind::directory) {
    copy_up_dir(path, *base_->lookup(path));
    return false;
  }
  if (had != Kind::missing) throw Error(ErrorCode::input, cat("cannot copy to non-directory: /", path));
  sys::mkdir_at(open_parent(path), base_name(path), 0755);
  return true;
}

void DestTree::make_dirs(const std::string& path, mode_t mode, Ownership owner, std::optional<std::int64_t> mtime_ns) {
  std::string made;
  for (const std::string& part : parts_of(path)) {
    made = child(made, part);
    if (!make_dir_entry(made)) continue;
    const int parent = open_parent(made);
    if (fchownat(parent, part.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
      throw_errno(errno, cat("chown /", made));
    if (fchmodat(parent, part.c_str(), mode, 0) != 0) throw_errno(errno, cat("chmod /", made));
    const std::int64_t ns = mtime_ns.value_or(0);
    set_dir_mtime(made, {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000});
  }
}

void DestTree::clear_for_file(const std::string& path) {
  if (kind(path) == Kind::directory)
    throw Error(ErrorCode::input, cat("cannot replace to directory /", path, " with file"));
  sys::unlink_at(open_parent(path), base_name(path));
}

void DestTree::clear(const std::string& path) {
  cached_dir_.reset();
  cached_path_.clear();
  sys::remove_all_at(upper_, path);
  std::erase_if(dir_times_,
                [&](const auto& entry) { return entry.first == path || entry.first.starts_with(cat(path, '/')); });
}

void DestTree::replace_by_directory(const std::string& path) {
  const Kind had = kind(path);
  if (had == Kind::missing || had == Kind::directory) return;
  clear(path);
  sys::mkdir_at(open_parent(path), base_name(path), 0755);
}

UniqueFd DestTree::create_file(const std::string& path) const {
  // Every parent is a real directory of the upper, which only this build writes: nothing can lead out.
  return sys::open_at(upper_, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

void DestTree::link(const std::string& existing, const std::string& path) {
  if (linkat(upper_, existing.c_str(), upper_, path.c_str(), 0) != 0) throw_errno(errno, cat("link /", path));
}

void DestTree::set_dir_mtime(const std::string& path, struct timespec mtime) { dir_times_[path] = mtime; }

void DestTree::finish() {
  // Deepest first: setting a child's time does not touch its parent's, but opening order stays predictable.
  for (auto it = dir_times_.rbegin(); it != dir_times_.rend(); ++it) {
    const struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, it->second};
    const std::string name = it->first.empty() ? "." : base_name(it->first);
    if (utimensat(it->first.empty() ? upper_ : open_parent(it->first), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      throw_errno(errno, cat("utimens /", it->first));
  }
  dir_times_.clear();
}

}  // namespace cbuild::solver::ops
