// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace cbuild::oci::layer {

/// Which names there are in directories that were made here and hold nothing else, by the inode of the directory.
class KnownNames {
 public:
  /// A directory that was just made.
  void begin(std::uint64_t directory) { names_[directory].clear(); }
  /// Whether nothing in `directory` has that name, for certain.
  bool is_free(std::uint64_t directory, const std::string& name) const {
    const auto known = names_.find(directory);
    return known != names_.end() && !known->second.contains(name);
  }
  /// Whether something in `directory` has, or had, that name, for certain.
  bool is_taken(std::uint64_t directory, const std::string& name) const {
    const auto known = names_.find(directory);
    return known != names_.end() && known->second.contains(name);
  }
  void add(std::uint64_t directory, const std::string& name) {
    const auto known = names_.find(directory);
    if (known != names_.end() && known->second.insert(name).second) ++count_;
  }
  /// Whether there are so many that forget() is due.
  bool is_full() const { return count_ >= kMost || names_.size() >= kMost; }
  /// Nothing is certain any more of the directories so far.
  void forget() {
    names_.clear();
    count_ = 0;
  }

 private:
  static constexpr std::size_t kMost = 1u << 17;

  std::unordered_map<std::uint64_t, std::unordered_set<std::string>> names_;
  std::size_t count_ = 0;
};

}  // namespace cbuild::oci::layer
