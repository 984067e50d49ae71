// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "solver/copied_root/tree_snapshot.h"

namespace cbuild::solver::ops {

/// One directory that holds what an overlay of layers would show, for one command to change.
class CopiedRoot {
 public:
  /// `staging` takes the copy and is removed with it.
  explicit CopiedRoot(cache::Staging staging) : staging_(std::move(staging)) {}

  /// Copies the view with owners, modes, times, xattrs and hard links. Device nodes are left out where this process
  /// may not make them. Throws Error.
  void populate(const cache::TreeView& layers, bool with_devices);
  /// Makes the entries of a directory of mount targets that are missing here. Until write_changes(), which removes
  /// those that the command has left alone.
  void add_skeleton(int skeleton);
  /// Remembers what is there: the command comes next.
  void remember();
  /// Writes what has changed since remember() into the overlay's upper directory `upper`, and the metadata of the root
  /// directory. The copy then equals what the overlay of all layers, the new one too, would show. Throws Error.
  void write_changes(int upper, const std::string& opaque_xattr);

  int fd() const { return staging_.tree_fd(); }
  using Birth = std::array<std::int64_t, 3>;
  TreeSnapshot& before() { return before_; }

 private:
  void add_skeleton(const cache::TreeView& skeleton, const std::string& directory);
  void remove_skeleton(const PlannedTree& changes);
  std::shared_ptr<const SideMetadata> list_side() const;
  void forget_replaced();

  cache::Staging staging_;
  TreeSnapshot before_;
  std::shared_ptr<const SideMetadata> side_;  ///< of the copy since remember(); null if it has none
  std::map<std::string, Birth> births_;       ///< of the entries of side_
  std::vector<std::string> skeleton_;         ///< entries made by add_skeleton(), parents first
};

}  // namespace cbuild::solver::ops
