// SPDX-License-Identifier: Apache-2.0
// A layer before it exists: nodes by path over a base that is only read. Lookups see the merge of both, and symbolic
// links are resolved in it name by name, from its root, so no link of the image leads out. A directory of the base that
// gets an entry is adopted with its metadata, because the layer must repeat it. The last directory is remembered:
// copies come directory by directory.
#include "solver/ops/planned_tree.h"

#include <deque>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

constexpr unsigned kMaxSymlinks = 255;

std::deque<std::string> parts_of(const std::string& path) {
  std::deque<std::string> parts;
  for (std::string& part : split(path, '/'))
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  return parts;
}

bool hides(const PlannedNode& node) { return S_ISCHR(node.mode) && node.device == 0; }

PlannedNode whiteout() {
  PlannedNode node;
  node.mode = S_IFCHR;
  return node;
}

PlannedTree::Kind kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return PlannedTree::Kind::directory;
  return S_ISLNK(mode) ? PlannedTree::Kind::symlink : PlannedTree::Kind::other;
}

}  // namespace

bool belongs_to_overlay(const sys::Xattr& xattr) { return xattr.name.find(".overlay.") != std::string::npos; }

PlannedTree::Found PlannedTree::find(const std::string& path) const {
  if (last_ != nullptr && path == last_path_) return {last_, false};
  Found found{&root_, false};
  for (const std::string& part : parts_of(path)) {
    if (!S_ISDIR(found.node->mode)) return {nullptr, true};
    const auto next = found.node->children.find(part);
    if (next == found.node->children.end()) return {nullptr, false};
    found.node = &next->second;
  }
  return found;
}

PlannedTree::Kind PlannedTree::kind(const std::string& path) const {
  const Found planned = find(path);
  if (planned.node != nullptr && hides(*planned.node)) return Kind::missing;
  if (planned.node != nullptr) return kind_of(planned.node->mode);
  if (planned.hidden || base_ == nullptr) return Kind::missing;
  const auto entry = base_->lookup(path);
  return entry ? kind_of(entry->st.st_mode) : Kind::missing;
}

std::vector<std::string> PlannedTree::names(const std::string& directory) const {
  std::set<std::string> out;
  if (kind(directory) != Kind::directory) return {};
  const auto below = base_ == nullptr ? std::nullopt : base_->lookup(directory);
  if (below && S_ISDIR(below->st.st_mode))
    for (const cache::TreeView::Entry& entry : base_->list(directory)) out.insert(entry.name);
  if (const PlannedNode* planned = find(directory).node)
    for (const auto& [name, node] : planned->children) hides(node) ? void(out.erase(name)) : void(out.insert(name));
  return {out.begin(), out.end()};
}

std::optional<PlannedTree::Look> PlannedTree::file_look(const std::string& path) const {
  const Found planned = find(path);
  if (planned.node != nullptr && S_ISREG(planned.node->mode)) return Look{planned.node->mode, planned.node->owner};
  if (planned.node != nullptr || planned.hidden || base_ == nullptr) return std::nullopt;
  const auto entry = base_->lookup(path);
  if (!entry || !S_ISREG(entry->st.st_mode)) return std::nullopt;
  return Look{entry->st.st_mode, {entry->st.st_uid, entry->st.st_gid}};
}

std::string PlannedTree::resolve(const std::string& path) const {
  std::deque<std::string> todo = parts_of(path);
  std::string real;
  unsigned links = 0;
  while (!todo.empty()) {
    const std::string part = std::move(todo.front());
    todo.pop_front();
    if (part == "..") {
      real = parent_path(real);
      continue;
    }
    const std::string next = child_path(real, part);
    if (kind(next) != Kind::symlink) {
      real = next;
      continue;
    }
    if (++links > kMaxSymlinks) throw Error(ErrorCode::input, cat("too many levels of symbolic links: /", path));
    const PlannedNode* planned = find(next).node;
    const std::string target = planned != nullptr ? planned->text : base_->read_link(next);
    if (target.starts_with('/')) real.clear();
    std::deque<std::string> more = parts_of(target);
    todo.insert(todo.begin(), more.begin(), more.end());
  }
  return real;
}

PlannedNode& PlannedTree::directory(const std::string& path) {
  if (path.empty()) return root_;
  if (last_ == nullptr || last_path_ != path) {
    PlannedNode* node = &root_;
    for (const std::string& part : parts_of(path)) node = &node->children.at(part);
    CBUILD_CHECK(S_ISDIR(node->mode));
    last_ = node;
    last_path_ = path;
  }
  return *last_;
}

void PlannedTree::adopt(const std::string& path) {
  const auto entry = base_->lookup(path);
  CBUILD_CHECK(entry.has_value());
  PlannedNode node;
  node.mode = entry->st.st_mode & (S_IFMT | 07777);
  node.owner = {entry->st.st_uid, entry->st.st_gid};
  node.mtime = entry->st.st_mtim;
  node.xattrs = base_->xattrs(path);
  std::erase_if(node.xattrs, belongs_to_overlay);
  directory(parent_path(path)).children.emplace(base_name(path), std::move(node));
}

/// True if the merged view had nothing there.
bool PlannedTree::make_dir_entry(const std::string& path) {
  const PlannedNode* planned = find(path).node;
  if (planned != nullptr && S_ISDIR(planned->mode)) return false;
  const Kind had = kind(path);
  if (had == Kind::directory) {
    adopt(path);
    return false;
  }
  if (had != Kind::missing) throw Error(ErrorCode::input, cat("cannot copy to non-directory: /", path));
  auto& names = directory(parent_path(path)).children;
  const bool hidden = names.erase(base_name(path)) != 0;
  names.emplace(base_name(path), PlannedNode{});
  if (hidden) hide_children(path);
  return true;
}

/// A new directory in the place of a removed one has nothing of what that had.
void PlannedTree::hide_children(const std::string& path) {
  const auto below = base_ == nullptr ? std::nullopt : base_->lookup(path);
  if (!below || !S_ISDIR(below->st.st_mode)) return;
  auto& names = directory(path).children;
  for (const cache::TreeView::Entry& entry : base_->list(path)) names.emplace(entry.name, whiteout());
}

void PlannedTree::make_dirs(const std::string& path, mode_t mode, Ownership owner,
                            std::optional<std::int64_t> mtime_ns) {
  if (last_ != nullptr && path == last_path_) return;
  std::string made;
  for (const std::string& part : parts_of(path)) {
    made = child_path(made, part);
    if (!make_dir_entry(made)) continue;
    PlannedNode& node = directory(made);
    node.mode = S_IFDIR | (mode & 07777);
    node.owner = owner;
    const std::int64_t ns = mtime_ns.value_or(0);
    node.mtime = {.tv_sec = ns / kNsPerSecond, .tv_nsec = ns % kNsPerSecond};
  }
}

void PlannedTree::set_dir_mtime(const std::string& path, struct timespec mtime) {
  directory(path).mtime = mtime;
  sets_root_mtime_ |= path.empty();
}

void PlannedTree::clear_for_file(const std::string& path) {
  if (kind(path) == Kind::directory)
    throw Error(ErrorCode::input, cat("cannot replace to directory /", path, " with file"));
  directory(parent_path(path)).children.erase(base_name(path));
}

void PlannedTree::clear(const std::string& path) { directory(parent_path(path)).children.erase(base_name(path)); }

void PlannedTree::remove(const std::string& path) {
  const std::string parent = parent_path(path);
  make_dirs(parent, 0755, {}, std::nullopt);
  auto& names = directory(parent).children;
  if (last_path_ != parent) last_ = nullptr;  // it may be below the name
  names.erase(base_name(path));
  if (base_ == nullptr || !base_->lookup(path)) return;
  names.emplace(base_name(path), whiteout());
  removes_ = true;
}

void PlannedTree::replace_by_directory(const std::string& path) {
  const Kind had = kind(path);
  if (had == Kind::missing || had == Kind::directory) return;
  clear(path);
  directory(parent_path(path)).children.emplace(base_name(path), PlannedNode{});
}

void PlannedTree::add(const std::string& path, PlannedNode node) {
  auto& names = directory(parent_path(path)).children;
  // Most come in the order of their names.
  names.insert_or_assign(names.end(), base_name(path), std::move(node));
}

}  // namespace cbuild::solver::ops
