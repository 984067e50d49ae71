// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "oci/layer/layer_table.h"

namespace cbuild::oci::layer {

/// The group of something that root makes in a directory.
std::uint32_t inherited_group(const TableNode& parent);

/// A tree in memory while a table is made, in the place of unpack()'s file system. Used by one thread.
class TableTree {
 public:
  static constexpr std::uint32_t kRoot = LayerTable::kRoot, kNone = LayerTable::kNone;

  TableTree();

  /// Valid until the next change of the tree.
  TableNode& node(std::uint32_t index) { return nodes_[index].value; }
  std::uint32_t child(std::uint32_t directory, const std::string& name) const;
  /// A new node under a name that is free. Throws Error{corrupt} for names longer than file systems allow, and
  /// Error{unsupported} if the table becomes larger than memory should be given to it.
  std::uint32_t make(std::uint32_t directory, const std::string& name, TableNode value);
  /// One more name for an existing node that is not a directory.
  void link(std::uint32_t directory, const std::string& name, std::uint32_t node);
  /// Removes a name, with all that is below it.
  void remove(std::uint32_t directory, const std::string& name);
  /// Counts bytes that a node was given later; throws as make().
  void charge(std::uint64_t bytes);

  /// The directory `path`, symlinks resolved as if the root were "/"; kNone if there is none. Throws Error{corrupt}
  /// where the kernel would give up.
  std::uint32_t find_directory(const std::string& path);
  /// As find_directory(), but makes missing directories, as implied. Throws Error{corrupt} if something else is in the
  /// way.
  std::uint32_t make_directory(const std::string& path);

  /// The finished table; the tree is empty then.
  LayerTable take();

 private:
  struct Node {
    TableNode value;
    std::map<std::string, std::uint32_t> children;
    std::uint32_t parent = kNone;  ///< of a directory
  };

  std::uint32_t walk(const std::string& path, bool make_missing);
  std::uint32_t allocate(TableNode value, std::uint32_t parent);
  void release(std::uint32_t node, std::vector<std::uint32_t>& gone);

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::uint64_t charged_ = 0;
  std::string last_path_;  ///< of the directory that was asked for last, which often comes again
  std::uint32_t last_ = kNone;
};

}  // namespace cbuild::oci::layer
