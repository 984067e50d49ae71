// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/pattern/path_pattern.h"
#include "cache/content/tree.h"
#include "solver/ops/mode_spec.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// How copied entries look.
struct CopyRules {
  std::optional<Ownership> owner;             ///< nullopt: keep the source's
  ModeChange mode;                            ///< applied to files and directories
  std::optional<std::int64_t> mtime_ns;       ///< nullopt: keep the source's
  const PathPatternList* ignore = nullptr;    ///< of the source root (a local context's ignore file)
  const PathPatternList* excludes = nullptr;  ///< relative to the copied directory
  const PathPatternList* includes = nullptr;  ///< relative to the copied directory; null: everything
  bool replace = false;                       ///< what is in the way is removed, whatever it is
  /// Rules of archives: an entry replaces an existing one, a directory merges with a directory; one that is not among
  /// these is only on the way to an entry and goes where a symlink in its place points. Borrowed.
  const std::set<std::string>* archive_directories = nullptr;
  bool devices = true;  ///< false: leaves device nodes out, which not every process may make
  const CancelSource* cancel = nullptr;
  bool identify = false;  ///< sources keep their stat data as long as they do not change (PlannedNode::source_id)
};

/// Plans the copy of parts of one tree: files, directories, symlinks, devices, FIFOs; sockets become empty files; hard
/// links among the files of one copier survive.
class TreeCopier {
 public:
  /// `source` has to live as long as the plan.
  TreeCopier(const cache::TreeView& source, PlannedTree& destination, CopyRules rules);

  /// One entry that is not a directory, to a resolved path whose parent is planned.
  void copy_file(const std::string& from, const std::string& to);
  /// The content of directory `from` into directory `to`, merging; `to` is planned. Nested directories that exist are
  /// given the source's mode and owner again; an existing top one keeps its own but gets the source's time. `fresh`:
  /// nothing was at `to` before, planned or below, so that no name in it needs to be made free.
  void copy_contents(const std::string& from, const std::string& to, bool fresh = false);
  /// The directory `from` itself, with its metadata, to a path where no directory is and whose parent is planned.
  void copy_whole(const std::string& from, const std::string& to);
  /// The entry at `real`, asked for as `path` below directory `top`, to `path` below `to`. The directories between are
  /// copied too, each with its own metadata and without its content; the rules' excludes are relative to `top`.
  void copy_below(const std::string& top, const std::string& path, const std::string& real, const std::string& to);

 private:
  void walk(const std::string& from, const std::string& to, const std::string& top, bool fresh);
  void remove_existing(const std::string& to);
  void copy_entry(const cache::TreeView::Entry& entry, const std::string& from, const std::string& to);
  void copy_directory(const struct stat& st, const std::string& from, const std::string& to, const std::string& top,
                      bool fresh);
  PlannedNode planned_file(const cache::TreeView::Entry& entry, const std::string& from);
  const std::shared_ptr<const SourceDirectory>& source_directory(std::size_t layer, const std::string& path);
  void set_directory_metadata(const struct stat& st, const std::string& from, const std::string& to);

  const cache::TreeView& source_;
  PlannedTree& destination_;
  CopyRules rules_;
  std::shared_ptr<const SourceDirectory> last_source_;
  std::map<std::pair<std::size_t, std::pair<dev_t, ino_t>>, std::uint64_t> hard_links_;  ///< to link groups
};

}  // namespace cbuild::solver::ops
