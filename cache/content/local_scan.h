// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/pattern/path_pattern.h"
#include "cache/content/content_tree.h"
#include "cache/content/stat_table.h"

namespace cbuild::cache {

/// Reads the content of a directory of this machine. Files that the table knows are not read again.
class LocalScan {
 public:
  /// All are borrowed. `known` gives a directory that was scanned before, or nullptr; `changed` becomes true
  /// when something was read that the table should remember.
  LocalScan(int root_fd, const StatTable& table, const PathPatternList& ignore,
            std::function<std::shared_ptr<ContentDirectory>(const std::string&)> known, std::atomic<bool>& changed)
      : root_fd_(root_fd), table_(table), ignore_(ignore), known_(std::move(known)), changed_(changed) {}

  /// The content of a clean path whose parents are real directories, all below it included. Throws
  /// Error{not_found}.
  ContentEntry read(const std::string& path) const;
  /// Only its metadata.
  ContentEntry read_header(const std::string& path) const;

  struct Task;

 private:
  void run(Task first) const;
  std::vector<Task> scan(const Task& task) const;
  std::vector<PathPatternList::ParentMatch> list(int dir, const Task& task) const;

  int root_fd_;
  const StatTable& table_;
  const PathPatternList& ignore_;
  std::function<std::shared_ptr<ContentDirectory>(const std::string&)> known_;
  std::atomic<bool>& changed_;
};

}  // namespace cbuild::cache
