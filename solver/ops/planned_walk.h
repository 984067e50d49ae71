// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "oci/layer/planned_entry.h"
#include "solver/ops/planned_tree.h"

namespace cbuild::solver::ops {

/// The type of an entry by the mode of its node.
oci::layer::EntryType entry_type(mode_t mode);

/// Opens the directories that sources lie in; one that is asked for again at once is still open. Not thread-safe.
class SourceOpener {
 public:
  /// Throws Error.
  const oci::layer::SharedFd& open(const std::shared_ptr<const SourceDirectory>& directory);

 private:
  std::shared_ptr<const SourceDirectory> last_;
  oci::layer::SharedFd fd_;
};

/// The entries of a plan in the order of a layer. The plan is borrowed.
class PlannedWalk final : public oci::layer::PlannedEntries {
 public:
  explicit PlannedWalk(const PlannedTree& tree);
  bool next(oci::layer::PlannedEntry& entry) override;

 private:
  struct Level {
    std::map<std::string, PlannedNode>::const_iterator at, end;
    std::size_t path_size = 0;
  };
  std::string path_;
  std::vector<Level> levels_;
  SourceOpener opener_;
};

}  // namespace cbuild::solver::ops
