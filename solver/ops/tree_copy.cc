// SPDX-License-Identifier: Apache-2.0
//
// One walk over the source makes directories, links and special files in order and queues regular files; flush() then
// copies their data, on all cores when there are many, because creating a file and moving its bytes is nearly all of a
// copy's cost.
#include "solver/ops/tree_copy.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::size_t kParallelFrom = 128;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::string child(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : cat(directory, '/', name);
}

std::string below(const std::string& path, const std::string& top) {
  if (top.empty()) return path;
  return path.size() > top.size() ? path.substr(top.size() + 1) : std::string();
}

void set_owner_and_mode(int fd, const std::string& name, Ownership owner, std::optional<mode_t> mode) {
  if (fchownat(fd, name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
    throw_errno(errno, cat("chown ", name));
  if (mode && fchmodat(fd, name.c_str(), *mode, 0) != 0) throw_errno(errno, cat("chmod ", name));
}

void set_mtime(int fd, const std::string& name, struct timespec mtime) {
  const struct timespec times[2] = {mtime, mtime};
  if (utimensat(fd, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, cat("utimens ", name));
}

bool belongs_to_overlay(const sys::Xattr& xattr) { return xattr.name.find(".overlay.") != std::string::npos; }

/// Best effort, as the reference: a file system or a user namespace may refuse some.
void copy_xattrs(int from, int to) {
  for (const sys::Xattr& xattr : sys::list_xattrs(from))
    if (!belongs_to_overlay(xattr)) (void)fsetxattr(to, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0);
}

}  // namespace

TreeCopier::TreeCopier(const cache::TreeView& source, DestTree& destination, CopyRules rules)
    : source_(source), destination_(destination), rules_(std::move(rules)) {}

mode_t TreeCopier::new_mode(const struct stat& st) const {
  return rules_.mode ? rules_.mode(st.st_mode & 07777, S_ISDIR(st.st_mode)) : st.st_mode & 07777;
}

Ownership TreeCopier::new_owner(const struct stat& st) const {
  return rules_.owner.value_or(Ownership{st.st_uid, st.st_gid});
}

struct timespec TreeCopier::new_mtime(const struct stat& st) const {
  if (!rules_.mtime_ns) return st.st_mtim;
  return {.tv_sec = *rules_.mtime_ns / kNsPerSecond, .tv_nsec = *rules_.mtime_ns % kNsPerSecond};
}

bool TreeCopier::excluded(const std::string& path, const std::string& top) const {
  if (rules_.ignore && rules_.ignore->matches(path)) return true;
  return rules_.excludes && rules_.excludes->matches(below(path, top));
}

bool TreeCopier::any_negation() const {
  return (rules_.ignore && rules_.ignore->has_negation()) || (rules_.excludes && rules_.excludes->has_negation());
}

bool TreeCopier::holds_included(const std::string& directory, const std::string& top) const {
  for (const auto& entry : source_.list(directory)) {
    const std::string path = child(directory, entry.name);
    if (!excluded(path, top)) return true;
    if (S_ISDIR(entry.st.st_mode) && holds_included(path, top)) return true;
  }
  return false;
}

void TreeCopier::copy_file(const std::string& from, const std::string& to) {
  const auto entry = source_.lookup(from);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", from, "\": not found"));
  make_free(to);
  copy_entry(*entry, from, to);
}

void TreeCopier::copy_contents(const std::string& from, const std::string& to, bool fresh) {
  const auto entry = source_.lookup(from);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", from, "\": not found"));
  walk(from, to, from, fresh);
  // An archive's top is a directory that was made for it now.
  if (!rules_.archive_directories) destination_.set_dir_mtime(to, new_mtime(entry->st));
}

void TreeCopier::copy_below(const std::string& top, const std::string& path, const std::string& real,
                            const std::string& to) {
  const auto entry = source_.lookup(real);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", real, "\": not found"));
  const bool directory = S_ISDIR(entry->st.st_mode);
  if (excluded(child(top, path), top) && !(directory && any_negation() && holds_included(real, top))) return;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash), above = child(to, part);
    const auto from = source_.resolve(child(top, part));
    const auto parent = from ? source_.lookup(*from) : std::nullopt;
    if (!parent) throw Error(ErrorCode::not_found, cat("\"/", child(top, part), "\": not found"));
    destination_.make_dirs(above, 0755, {}, rules_.mtime_ns);
    set_directory_metadata(parent->st, *from, above);
  }
  if (directory) return copy_directory(entry->st, real, child(to, path), top, false);
  make_free(child(to, path));
  copy_entry(*entry, real, child(to, path));
}

void TreeCopier::walk(const std::string& from, const std::string& to, const std::string& top, bool fresh) {
  for (const auto& entry : source_.list(from)) {
    if (rules_.cancel) rules_.cancel->check();
    const std::string path = child(from, entry.name);
    const bool directory = S_ISDIR(entry.st.st_mode);
    if (excluded(path, top) && !(directory && any_negation() && holds_included(path, top))) continue;
    const std::string target = child(to, entry.name);
    if (directory) {
      copy_directory(entry.st, path, target, top, fresh);
      continue;
    }
    if (!fresh) make_free(target);
    copy_entry(entry, path, target);
  }
}

void TreeCopier::copy_directory(const struct stat& st, const std::string& from, const std::string& to,
                                const std::string& top, bool fresh) {
  if (rules_.archive_directories && !rules_.archive_directories->contains(from)) {
    const std::string target = destination_.resolve(to);
    destination_.make_dirs(target, 0755, {}, std::nullopt);
    return walk(from, target, top, false);
  }
  if (rules_.archive_directories) destination_.replace_by_directory(to);
  fresh = fresh || destination_.kind(to) == DestTree::Kind::missing;
  destination_.make_dirs(to, 0755, {}, std::nullopt);
  set_directory_metadata(st, from, to);
  destination_.set_dir_mtime(to, new_mtime(st));
  walk(from, to, top, fresh);
}

void TreeCopier::set_directory_metadata(const struct stat& st, const std::string& from, const std::string& to) {
  const int fd = destination_.dir(to);
  set_owner_and_mode(fd, ".", new_owner(st), new_mode(st));
  for (const sys::Xattr& xattr : source_.xattrs(from))
    if (!belongs_to_overlay(xattr)) sys::set_xattr_at(fd, ".", xattr);
}

void TreeCopier::make_free(const std::string& to) {
  if (rules_.archive_directories)
    destination_.clear(to);
  else
    destination_.clear_for_file(to);
}

void TreeCopier::copy_entry(const cache::TreeView::Entry& entry, const std::string& from, const std::string& to) {
  if (!S_ISREG(entry.st.st_mode)) return copy_special(entry, from, to);
  if (!link_to_copied(entry, to)) pending_.push_back({from, to, entry.st});
}

bool TreeCopier::link_to_copied(const cache::TreeView::Entry& entry, const std::string& to) {
  if (entry.st.st_nlink < 2) return false;
  const auto [known, fresh] = hard_links_.try_emplace({entry.layer, {entry.st.st_dev, entry.st.st_ino}}, to);
  if (!fresh) links_.emplace_back(known->second, to);
  return !fresh;
}

void TreeCopier::copy_special(const cache::TreeView::Entry& entry, const std::string& from, const std::string& to) {
  const std::string name = base_name(to);
  const std::size_t slash = to.rfind('/');
  const int parent = destination_.dir(slash == std::string::npos ? std::string() : to.substr(0, slash));
  const struct stat& st = entry.st;
  if (S_ISLNK(st.st_mode)) {
    if (symlinkat(source_.read_link(from).c_str(), parent, name.c_str()) != 0) throw_errno(errno, cat("symlink /", to));
    set_owner_and_mode(parent, name, new_owner(st), std::nullopt);
  } else {
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
      throw Error(
          ErrorCode::input,
          cat("/", from, " is a character device 0:0, which marks a deleted file in a layer; it cannot be copied"))
          .with_hint("leave it out with --exclude or .dockerignore");
    const mode_t type = S_ISSOCK(st.st_mode) ? S_IFREG : st.st_mode & S_IFMT;
    if (mknodat(parent, name.c_str(), type | 0600, st.st_rdev) != 0) throw_errno(errno, cat("mknod /", to));
    set_owner_and_mode(parent, name, new_owner(st), new_mode(st));
  }
  for (const sys::Xattr& xattr : source_.xattrs(from)) sys::set_xattr_at(parent, name, xattr);
  set_mtime(parent, name, new_mtime(st));
}

void TreeCopier::copy_regular(const Pending& file) const {
  const UniqueFd in = source_.open(file.from, O_RDONLY);
  const struct stat now = sys::stat_fd(in.get());
  if (!S_ISREG(now.st_mode))
    throw Error(ErrorCode::input, cat("/", file.from, " changed its type while it was copied"));
  UniqueFd out = destination_.create_file(file.to);
  sys::copy_file_data(in.get(), out.get(), static_cast<std::uint64_t>(now.st_size));
  const Ownership owner = new_owner(file.st);
  if (fchown(out.get(), owner.uid, owner.gid) != 0) throw_errno(errno, cat("chown /", file.to));
  if (fchmod(out.get(), new_mode(file.st)) != 0) throw_errno(errno, cat("chmod /", file.to));
  copy_xattrs(in.get(), out.get());
  const struct timespec mtime = new_mtime(file.st);
  const struct timespec times[2] = {mtime, mtime};
  if (futimens(out.get(), times) != 0) throw_errno(errno, cat("utimens /", file.to));
  out.close_checked();
}

void TreeCopier::flush() {
  const auto copy_range = [this](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (rules_.cancel) rules_.cancel->check();
      copy_regular(pending_[i]);
    }
  };
  if (pending_.size() < kParallelFrom) {
    copy_range(0, pending_.size());
  } else {
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, pending_.size(), 32),
                      [&](const auto& range) { copy_range(range.begin(), range.end()); });
  }
  pending_.clear();
  for (const auto& [existing, name] : links_) destination_.link(existing, name);
  links_.clear();
}

}  // namespace cbuild::solver::ops
