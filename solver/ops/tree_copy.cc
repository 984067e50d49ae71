// SPDX-License-Identifier: Apache-2.0
// Copies from the view of a source into a PlannedTree by BuildKit's rules: which patterns leave an entry out, when an
// excluded directory is entered all the same (an exception may name a file below), and that directories merge while
// files replace. Files of one inode stay one file. Content is not touched: a node remembers where it lies.
#include "solver/ops/tree_copy.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

std::string below(const std::string& path, const std::string& top) {
  if (top.empty()) return path;
  return path.size() > top.size() ? path.substr(top.size() + 1) : std::string();
}

mode_t new_mode(const CopyRules& rules, const struct stat& st) {
  return rules.mode ? rules.mode(st.st_mode & 07777, S_ISDIR(st.st_mode)) : st.st_mode & 07777;
}

Ownership new_owner(const CopyRules& rules, const struct stat& st) {
  return rules.owner.value_or(Ownership{st.st_uid, st.st_gid});
}

struct timespec new_mtime(const CopyRules& rules, const struct stat& st) {
  if (!rules.mtime_ns) return st.st_mtim;
  return {.tv_sec = *rules.mtime_ns / kNsPerSecond, .tv_nsec = *rules.mtime_ns % kNsPerSecond};
}

bool excluded(const CopyRules& rules, const std::string& path, const std::string& top) {
  if (rules.ignore && rules.ignore->matches(path)) return true;
  if (rules.includes && !rules.includes->matches(below(path, top))) return true;
  return rules.excludes && rules.excludes->matches(below(path, top));
}

/// Whether something below a directory that is left out may be copied all the same.
bool any_negation(const CopyRules& rules) {
  if (rules.includes) return true;
  return (rules.ignore && rules.ignore->has_negation()) || (rules.excludes && rules.excludes->has_negation());
}

bool holds_included(const CopyRules& rules, const cache::TreeView& source, const std::string& directory,
                    const std::string& top) {
  for (const auto& entry : source.list(directory)) {
    const std::string path = child_path(directory, entry.name);
    if (!excluded(rules, path, top)) return true;
    if (S_ISDIR(entry.st.st_mode) && holds_included(rules, source, path, top)) return true;
  }
  return false;
}

PlannedNode planned(const CopyRules& rules, const struct stat& st) {
  PlannedNode node;
  node.mode = (st.st_mode & S_IFMT) | new_mode(rules, st);
  node.owner = new_owner(rules, st);
  node.mtime = new_mtime(rules, st);
  return node;
}

PlannedNode planned_special(const CopyRules& rules, const cache::TreeView& source, const struct stat& st,
                            const std::string& from) {
  PlannedNode node = planned(rules, st);
  if (S_ISLNK(st.st_mode)) {
    node.mode = S_IFLNK | 0777;
    node.text = source.read_link(from);
  } else if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
    throw Error(
        ErrorCode::input,
        cat("/", from, " is a character device 0:0, which marks a deleted file in a layer; it cannot be copied"))
        .with_hint("leave it out with --exclude or .dockerignore");
  } else if (S_ISSOCK(st.st_mode)) {
    node.mode = S_IFREG | (node.mode & 07777);
  } else {
    node.device = st.st_rdev;
  }
  node.xattrs = source.xattrs(from);
  return node;
}

}  // namespace

TreeCopier::TreeCopier(const cache::TreeView& source, PlannedTree& destination, CopyRules rules)
    : source_(source), destination_(destination), rules_(std::move(rules)) {}

void TreeCopier::copy_file(const std::string& from, const std::string& to) {
  const auto entry = source_.lookup(from);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", from, "\": not found"));
  remove_existing(to);
  copy_entry(*entry, from, to);
}

void TreeCopier::copy_contents(const std::string& from, const std::string& to, bool fresh) {
  const auto entry = source_.lookup(from);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", from, "\": not found"));
  walk(from, to, from, fresh);
  // An archive's top is a directory that was made for it now.
  if (!rules_.archive_directories) destination_.set_dir_mtime(to, new_mtime(rules_, entry->st));
}

void TreeCopier::copy_whole(const std::string& from, const std::string& to) {
  const auto entry = source_.lookup(from);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", from, "\": not found"));
  copy_directory(entry->st, from, to, from, false);
}

void TreeCopier::copy_below(const std::string& top, const std::string& path, const std::string& real,
                            const std::string& to) {
  const auto entry = source_.lookup(real);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", real, "\": not found"));
  const bool directory = S_ISDIR(entry->st.st_mode);
  if (excluded(rules_, child_path(top, path), top) &&
      !(directory && any_negation(rules_) && holds_included(rules_, source_, real, top)))
    return;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash), above = child_path(to, part);
    const auto from = source_.resolve(child_path(top, part));
    const auto parent = from ? source_.lookup(*from) : std::nullopt;
    if (!parent) throw Error(ErrorCode::not_found, cat("\"/", child_path(top, part), "\": not found"));
    destination_.make_dirs(above, 0755, {}, rules_.mtime_ns);
    set_directory_metadata(parent->st, *from, above);
  }
  if (directory) return copy_directory(entry->st, real, child_path(to, path), top, false);
  remove_existing(child_path(to, path));
  copy_entry(*entry, real, child_path(to, path));
}

void TreeCopier::walk(const std::string& from, const std::string& to, const std::string& top, bool fresh) {
  for (const auto& entry : source_.list(from)) {
    if (rules_.cancel) rules_.cancel->check();
    const std::string path = child_path(from, entry.name);
    const bool directory = S_ISDIR(entry.st.st_mode);
    if (excluded(rules_, path, top) &&
        !(directory && any_negation(rules_) && holds_included(rules_, source_, path, top)))
      continue;
    const std::string target = child_path(to, entry.name);
    if (directory) {
      copy_directory(entry.st, path, target, top, fresh);
      continue;
    }
    if (!rules_.devices && (S_ISCHR(entry.st.st_mode) || S_ISBLK(entry.st.st_mode))) continue;
    if (!fresh) remove_existing(target);
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
  if (const auto had = destination_.kind(to);
      rules_.replace && had != PlannedTree::Kind::missing && had != PlannedTree::Kind::directory)
    destination_.remove(to);
  fresh = fresh || destination_.kind(to) == PlannedTree::Kind::missing;
  destination_.make_dirs(to, 0755, {}, std::nullopt);
  set_directory_metadata(st, from, to);
  destination_.set_dir_mtime(to, new_mtime(rules_, st));
  walk(from, to, top, fresh);
}

void TreeCopier::set_directory_metadata(const struct stat& st, const std::string& from, const std::string& to) {
  PlannedNode& node = destination_.directory(to);
  node.mode = S_IFDIR | new_mode(rules_, st);
  node.owner = new_owner(rules_, st);
  std::vector<sys::Xattr> had = std::exchange(node.xattrs, source_.xattrs(from));
  std::erase_if(node.xattrs, belongs_to_overlay);
  for (sys::Xattr& xattr : had) {
    const auto same = [&](const sys::Xattr& other) { return other.name == xattr.name; };
    if (std::none_of(node.xattrs.begin(), node.xattrs.end(), same)) node.xattrs.push_back(std::move(xattr));
  }
}

void TreeCopier::remove_existing(const std::string& to) {
  if (rules_.archive_directories)
    destination_.clear(to);
  else if (rules_.replace && destination_.kind(to) != PlannedTree::Kind::missing)
    destination_.remove(to);
  else
    destination_.clear_for_file(to);
}

void TreeCopier::copy_entry(const cache::TreeView::Entry& entry, const std::string& from, const std::string& to) {
  destination_.add(
      to, S_ISREG(entry.st.st_mode) ? planned_file(entry, from) : planned_special(rules_, source_, entry.st, from));
}

const std::shared_ptr<const SourceDirectory>& TreeCopier::source_directory(std::size_t layer, const std::string& path) {
  if (!last_source_ || last_source_->layer != layer || last_source_->path != path)
    last_source_ = std::make_shared<const SourceDirectory>(SourceDirectory{&source_, layer, path});
  return last_source_;
}

PlannedNode TreeCopier::planned_file(const cache::TreeView::Entry& entry, const std::string& from) {
  PlannedNode node = planned(rules_, entry.st);
  node.source = source_directory(entry.layer, parent_path(from));
  node.source_name = entry.name;
  if (const SideEntry* side = source_.side(from)) node.xattrs = side->wanted.xattrs;
  if (rules_.identify) node.source_id = cache::stat_id(entry.st);
  if (entry.st.st_nlink > 1) {
    std::uint64_t& group = hard_links_[{entry.layer, {entry.st.st_dev, entry.st.st_ino}}];
    if (group == 0) group = destination_.new_link_group();
    node.link_group = group;
  }
  return node;
}

}  // namespace cbuild::solver::ops
