// SPDX-License-Identifier: Apache-2.0
// COPY, ADD and WORKDIR, and the file actions of LLB, as a plan: each action is applied to a PlannedTree over the base
// and nothing is written. Writing it as a tree (write_tree.cc) or packing it straight into a layer comes later, so both
// have the same rules. Those are BuildKit's, down to which parents get which owner. An archive is unpacked into a
// directory of its own first and then copied, so that links in the base cannot lead it elsewhere.
#include "solver/ops/file_op.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "cache/content/tree_digest.h"
#include "oci/layer/unpack.h"
#include "sandbox/ids/users.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"

namespace cbuild::solver::ops {
namespace {

/// An archive in a directory of its own: its entries must meet symlinks and directories of the base by the same rules
/// as a copy does.
struct UnpackedArchive {
  UnpackedArchive(int archive, oci::layer::UnpackOptions options, cache::Staging at)
      : staging(unpack(archive, std::move(options), std::move(at))),
        tree(cache::TreeView::of_directory(staging.tree_fd(), side_of(staging))) {}

  static cache::Staging unpack(int archive, oci::layer::UnpackOptions options, cache::Staging into) {
    options.side = into.side();
    oci::layer::unpack(archive, into.tree_fd(), options);
    return into;
  }
  static std::shared_ptr<const SideMetadata> side_of(const cache::Staging& staging) {
    const SideRecorder* side = staging.side();
    return side ? std::make_shared<const SideMetadata>(side->list(staging.tree_fd())) : nullptr;
  }

  cache::Staging staging;
  cache::TreeView tree;
};

bool names_directory(const std::string& destination) {
  return destination.ends_with('/') || destination.ends_with("/.");
}

/// `as`: what the user wrote. A root is always there.
void require_parent(const PlannedTree& tree, const std::string& path, const std::string& as) {
  const std::string parent = parent_path(path);
  if (parent.empty() || tree.kind(parent) == PlannedTree::Kind::directory) return;
  throw Error(ErrorCode::not_found, cat("\"", as, "\": directory /", parent, " does not exist"))
      .with_hint("make it first, or have the action make it");
}

/// The paths in the merged view that a wildcard means, name by name. Links on the way are not followed.
void match(const PlannedTree& tree, const std::string& directory, const std::vector<std::string>& parts, std::size_t at,
           std::vector<std::string>& found) {
  for (const std::string& name : tree.names(directory)) {
    const auto matched = match_glob(parts[at], name);
    if (!matched) throw Error(ErrorCode::input, cat("syntax error in pattern: ", parts[at]));
    if (!*matched) continue;
    const std::string path = child_path(directory, name);
    if (at + 1 == parts.size())
      found.push_back(path);
    else if (tree.kind(path) == PlannedTree::Kind::directory)
      match(tree, path, parts, at + 1, found);
  }
}

class FileActions {
 public:
  FileActions(const cache::TreeView* base, const std::vector<CopySource>& sources, cache::Store& store,
              const CancelSource* cancel)
      : base_(base), sources_(sources), store_(store), cancel_(cancel), destination_(base) {}

  void run(const FileAction& action) {
    std::visit([this](const auto& what) { (*this)(what); }, action);
  }
  PlannedTree take() { return std::move(destination_); }

 private:
  void operator()(const CopyAction& copy);
  void operator()(const MakeFileAction& file);
  void operator()(const MakeDirAction& directory);
  void operator()(const RemoveAction& removal);
  void operator()(const SymlinkAction& link);

  void remove(const std::string& path, bool required);
  void copy_selected(const CopyAction& copy, const cache::Selected& selected);
  void copy_below_pivot(const cache::TreeView& tree, TreeCopier& copier, const CopyAction& copy,
                        const cache::Selected& selected);
  std::string target_of(const CopyAction& copy, const cache::Selected& selected, bool source_is_dir) const;
  bool unpack_archive(const CopyAction& copy, const std::string& from);
  CopyRules rules_for(const CopyAction& copy, const CopySource& source) const;
  Ownership owner_of(const std::string& chown, int input) const;
  void copy_directory(const CopyAction& copy, TreeCopier& copier, const std::string& from, const std::string& as);
  void make_parents(const CopyAction& copy, const std::string& path);
  void make_parents(const CopyAction& copy, const std::string& path, mode_t mode);

  const cache::TreeView* base_;
  const std::vector<CopySource>& sources_;
  cache::Store& store_;
  const CancelSource* cancel_;
  PlannedTree destination_;
};

/// The times that an action gives, if it gives some.
std::optional<std::int64_t> ns_of(const std::optional<std::int64_t>& time_s) {
  return time_s ? std::optional(*time_s * kNsPerSecond) : std::nullopt;
}

struct timespec time_of(const std::optional<std::int64_t>& time_s) {
  return {.tv_sec = time_s.value_or(0), .tv_nsec = 0};
}

/// Without an owner that is root.
Ownership FileActions::owner_of(const std::string& chown, int input) const {
  if (chown.empty()) return {};
  const cache::TreeView* names = input == 0 ? base_ : sources_.at(static_cast<std::size_t>(input)).tree;
  const auto [uid, gid] = sandbox::resolve_chown(chown, [&](const std::string& path) -> std::optional<std::string> {
    return names ? names->read_file(relative(path), kMaxUserFile) : std::nullopt;
  });
  return {uid, gid};
}

CopyRules FileActions::rules_for(const CopyAction& copy, const CopySource& source) const {
  CopyRules rules;
  if (!copy.chown.empty())
    rules.owner = owner_of(copy.chown, copy.manner.owner_input);
  else if (source.local)
    rules.owner = Ownership{};
  if (!copy.chmod.empty()) rules.mode = parse_mode_change(copy.chmod);
  if (copy.mtime_s) rules.mtime_ns = *copy.mtime_s * kNsPerSecond;
  rules.ignore = source.ignore;
  rules.identify = source.local;
  rules.replace = copy.manner.replace;
  rules.cancel = cancel_;
  return rules;
}

/// Parents that a copy creates: 0755, or the permission bits of an octal mode; root, or the new owner.
void FileActions::make_parents(const CopyAction& copy, const std::string& path) {
  make_parents(copy, path, is_octal_mode(copy.chmod) ? parse_mode_change(copy.chmod)(0, true) & 0777 : 0755);
}

void FileActions::make_parents(const CopyAction& copy, const std::string& path, mode_t mode) {
  destination_.make_dirs(path, mode, owner_of(copy.chown, copy.manner.owner_input), ns_of(copy.mtime_s));
}

void FileActions::operator()(const CopyAction& copy) {
  const CopySource& source = sources_.at(static_cast<std::size_t>(copy.input));
  const Selector selection{.paths = copy.sources,
                           .excludes = copy.excludes,
                           .parents = copy.parents,
                           .required = copy.required,
                           .follow = copy.manner.follow};
  static const PathPatternList kNothing;
  const auto selected = cache::select(*source.tree, selection, source.ignore ? *source.ignore : kNothing);
  if (copy.manner.match && selected.empty())
    throw Error(ErrorCode::not_found, cat("\"/", join(copy.sources, " "), "\": not found"));
  if (!copy.manner.make_parents)
    require_parent(destination_, destination_.resolve(relative(copy.destination)), copy.destination);
  for (const cache::Selected& one : selected) copy_selected(copy, one);
}

std::string FileActions::target_of(const CopyAction& copy, const cache::Selected& selected, bool source_is_dir) const {
  const std::string destination = destination_.resolve(relative(copy.destination));
  if (source_is_dir) return destination;
  const bool into = names_directory(copy.destination) || destination.empty() ||
                    destination_.kind(destination) == PlannedTree::Kind::directory;
  return into ? child_path(destination, base_name(selected.as)) : destination;
}

/// --parents copies the pivot directory, or the root, with nothing in it but the requested entries: the directories on
/// the way are copied as any nested directory is, and excludes are relative to the pivot.
void FileActions::copy_below_pivot(const cache::TreeView& tree, TreeCopier& copier, const CopyAction& copy,
                                   const cache::Selected& selected) {
  const std::size_t pivot = selected.as.find(cache::kPivot);
  const bool has_pivot = pivot != std::string::npos;
  const std::string rest = relative(has_pivot ? selected.as.substr(pivot + cache::kPivot.size()) : selected.as);
  const auto base = tree.resolve(has_pivot ? selected.as.substr(0, pivot) : std::string());
  CBUILD_CHECK(base.has_value());  // it was found when the path was selected
  const std::string destination = destination_.resolve(relative(copy.destination));
  make_parents(copy, destination);
  if (selected.kind == cache::Selected::Kind::below_pivot) {
    if (!rest.empty()) copier.copy_below(*base, rest, selected.path, destination);
    if (rest.empty()) copier.copy_contents(*base, destination);
  }
  if (const auto top = tree.lookup(*base); has_pivot && top && !copy.mtime_s)
    destination_.set_dir_mtime(destination, top->st.st_mtim);
}

void FileActions::copy_selected(const CopyAction& copy, const cache::Selected& selected) {
  const CopySource& source = sources_.at(static_cast<std::size_t>(copy.input));
  const auto entry = source.tree->lookup(selected.path);
  if (!entry) throw Error(ErrorCode::not_found, cat("\"/", selected.as, "\": not found"));
  const bool directory = S_ISDIR(entry->st.st_mode);
  if (!directory && copy.unpack && unpack_archive(copy, selected.path)) return;

  for (const std::string& needed : copy.manner.needed)
    if (!source.tree->resolve(child_path(selected.path, relative(needed))))
      throw Error(ErrorCode::not_found, cat("\"/", child_path(selected.as, relative(needed)), "\": not found"));
  const PathPatternList excludes(copy.excludes), includes(copy.manner.includes);
  CopyRules rules = rules_for(copy, source);
  if (!copy.excludes.empty()) rules.excludes = &excludes;
  if (!copy.manner.includes.empty()) rules.includes = &includes;
  TreeCopier copier(*source.tree, destination_, std::move(rules));
  if (selected.kind != cache::Selected::Kind::plain) return copy_below_pivot(*source.tree, copier, copy, selected);
  if (directory && !copy.manner.contents) return copy_directory(copy, copier, selected.path, selected.as);
  const std::string target = target_of(copy, selected, directory);
  if (directory) {
    const PlannedTree::Kind had = destination_.kind(target);
    if (had != PlannedTree::Kind::missing && had != PlannedTree::Kind::directory)
      throw Error(ErrorCode::input, cat("cannot copy to non-directory: /", target));
    make_parents(copy, target);
    copier.copy_contents(selected.path, target, had == PlannedTree::Kind::missing);
  } else {
    make_parents(copy, parent_path(target));
    copier.copy_file(selected.path, target);
  }
}

/// The directory itself: below a destination that exists, or that a slash says to be one; else as the destination, with
/// its metadata.
void FileActions::copy_directory(const CopyAction& copy, TreeCopier& copier, const std::string& from,
                                 const std::string& as) {
  std::string target = destination_.resolve(relative(copy.destination));
  if (names_directory(copy.destination)) make_parents(copy, target);
  if ((target.empty() || destination_.kind(target) != PlannedTree::Kind::missing) && !as.empty() && as != ".")
    target = child_path(target, base_name(as));
  const PlannedTree::Kind had = target.empty() ? PlannedTree::Kind::directory : destination_.kind(target);
  make_parents(copy, parent_path(target));
  if (had == PlannedTree::Kind::directory) {
    make_parents(copy, target);
    return copier.copy_contents(from, target);
  }
  if (had != PlannedTree::Kind::missing && !copy.manner.replace)
    throw Error(ErrorCode::input, cat("cannot copy to non-directory: /", target));
  copier.copy_whole(from, target);
}

bool FileActions::unpack_archive(const CopyAction& copy, const std::string& from) {
  const CopySource& source = sources_.at(static_cast<std::size_t>(copy.input));
  const UniqueFd archive = source.tree->open(from, O_RDONLY);
  if (!oci::layer::is_archive(archive.get())) return false;
  oci::layer::UnpackOptions options;
  options.whiteouts = oci::layer::Whiteouts::keep;
  options.cancel = cancel_;
  std::set<std::string> directories;
  options.directories = &directories;
  CopyRules rules;
  if (!copy.chown.empty()) {
    rules.owner = owner_of(copy.chown, copy.manner.owner_input);
    options.owner = std::pair(rules.owner->uid, rules.owner->gid);
  }
  const std::string target = destination_.resolve(relative(copy.destination));
  make_parents(copy, target, 0755);  // --chmod says nothing of archives
  const auto unpacked = std::make_shared<UnpackedArchive>(archive.get(), std::move(options), store_.stage("unpack"));
  destination_.keep(unpacked);
  rules.cancel = cancel_;
  rules.archive_directories = &directories;
  TreeCopier copier(unpacked->tree, destination_, std::move(rules));
  copier.copy_contents("", target);
  return true;
}

void FileActions::operator()(const MakeFileAction& file) {
  const std::string path = destination_.resolve(relative(file.path));
  PlannedNode node;
  node.mode = S_IFREG | (file.chmod.empty() ? file.mode : parse_mode_change(file.chmod)(file.mode, false));
  node.owner = owner_of(file.chown, file.owner_input);
  if (!file.make_parents) {
    require_parent(destination_, path, file.path);
    if (const std::optional<PlannedTree::Look> old = destination_.file_look(path)) {
      node.mode = S_IFREG | (old->mode & 07777);
      if (file.chown.empty()) node.owner = old->owner;
    }
  }
  destination_.make_dirs(parent_path(path), 0755, node.owner, ns_of(file.mtime_s));
  destination_.clear_for_file(path);
  node.mtime = time_of(file.mtime_s);
  node.text = file.content;
  destination_.add(path, std::move(node));
}

void FileActions::operator()(const MakeDirAction& directory) {
  const std::string path = destination_.resolve(relative(directory.path));
  if (!directory.make_parents) require_parent(destination_, path, directory.path);
  const Ownership owner = owner_of(directory.owner, directory.owner_input);
  destination_.make_dirs(path, directory.mode, owner, ns_of(directory.mtime_s));
}

void FileActions::operator()(const RemoveAction& removal) {
  const std::string path = relative(removal.path);
  if (!removal.wildcard || !has_glob(path)) return remove(path, removal.required);
  std::vector<std::string> found;
  match(destination_, "", split(path, '/'), 0, found);
  for (const std::string& one : found) remove(one, removal.required);
}

void FileActions::remove(const std::string& path, bool required) {
  if (path.empty()) throw Error(ErrorCode::input, "the root cannot be removed");
  const std::string real = child_path(destination_.resolve(parent_path(path)), base_name(path));
  if (destination_.kind(real) != PlannedTree::Kind::missing) return destination_.remove(real);
  if (required) throw Error(ErrorCode::not_found, cat("\"/", path, "\": not found"));
}

void FileActions::operator()(const SymlinkAction& link) {
  const std::string path = destination_.resolve(relative(link.path));
  require_parent(destination_, path, link.path);
  if (path.empty() || destination_.kind(path) != PlannedTree::Kind::missing)
    throw Error(ErrorCode::input, cat("\"", link.path, "\": it exists already"));
  destination_.make_dirs(parent_path(path), 0755, {}, std::nullopt);
  PlannedNode node;
  node.mode = S_IFLNK | 0777;
  node.owner = owner_of(link.owner, link.owner_input);
  node.mtime = time_of(link.mtime_s);
  node.text = link.target;
  destination_.add(path, std::move(node));
}

}  // namespace

PlannedTree plan_file_actions(const FileOp& op, const cache::TreeView* base, const std::vector<CopySource>& sources,
                              cache::Store& store, const CancelSource* cancel) {
  FileActions actions(base, sources, store, cancel);
  for (const FileAction& action : op.actions) {
    if (cancel) cancel->check();
    actions.run(action);
  }
  return actions.take();
}

}  // namespace cbuild::solver::ops
