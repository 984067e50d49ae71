// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cache/content/tree_digest.h"
#include "cache/store.h"
#include "solver/executor.h"
#include "solver/graph/op.h"

namespace cbuild::solver::ops {

/// The local directories of one build, each scanned once. Thread-safe.
class LocalTrees {
 public:
  explicit LocalTrees(cache::Store& store) : store_(store) {}
  /// Opened on first use. Throws Error{not_found} when the directory is missing.
  cache::LocalTree& tree(const LocalSource& source);
  void save() noexcept;

 private:
  cache::Store& store_;
  std::mutex mutex_;  // guards trees_
  std::map<std::string, std::unique_ptr<cache::LocalTree>> trees_;
};

/// Makes the layers of a pinned base image known to the store, lazily: from its manifest and config in the blob store.
/// The result is the chain of its layers; a KnownSource if the store knew all of them.
Outcome image_result(cache::Store& store, const ImageSource& image);

}  // namespace cbuild::solver::ops
