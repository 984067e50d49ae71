// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fd.h"

namespace cbuild::cache {

/// The names in one directory, as a set that may answer yes for a name that is not there and never no for one that is.
class NameSet {
 public:
  explicit NameSet(const std::vector<std::string>& names);
  static std::uint64_t hash(std::string_view name);
  bool may_hold(std::uint64_t hash) const;

 private:
  std::vector<std::uint64_t> hashes_;  // sorted
};

/// One immutable tree that takes part in views: opened once, shared by all of them, with the names of the directories
/// that somebody asked for. Thread-safe.
class LayerDir {
 public:
  explicit LayerDir(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  /// Names in the directory `path` of this layer, read on first use; lives as long as this object.
  const NameSet& names(const std::string& path) const;

 private:
  const NameSet& read_names(const std::string& path) const;

  UniqueFd fd_;
  mutable std::atomic<const NameSet*> root_names_{nullptr};  ///< the entry of "": asked by every view of a deep stack
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::unique_ptr<const NameSet>> names_;
};

}  // namespace cbuild::cache
