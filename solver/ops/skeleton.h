// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cache/content/tree.h"
#include "cache/store.h"
#include "sandbox/spec.h"

namespace cbuild::solver::ops {

/// A mount target, and whether it is a directory.
using MountTarget = std::pair<std::string, bool>;

/// The entries of an extra layer above `root`, so that every target exists in the merged view: missing targets with
/// their missing parents (0755 root), and the existing parents of those with their own metadata, so that the merged
/// directory looks unchanged. Targets below another target are left out; they lie inside its mount. Sorted, parents
/// first.
std::vector<sandbox::SkeletonEntry> skeleton_for(const cache::TreeView& root, const std::vector<MountTarget>& targets);

/// Directories that hold skeletons, made once per build and content. Thread-safe.
class Skeletons {
 public:
  explicit Skeletons(cache::Store& store) : store_(store) {}
  /// Descriptor of the directory, owned here; -1 for no entries.
  int directory(const std::vector<sandbox::SkeletonEntry>& entries);

 private:
  cache::Store& store_;
  std::mutex mutex_;  // guards made_
  std::map<std::string, std::unique_ptr<cache::Staging>> made_;
};

}  // namespace cbuild::solver::ops
