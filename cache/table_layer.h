// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cache/content/layer_tree.h"
#include "cache/kept_table.h"
#include "cache/layer_blob.h"

namespace cbuild::cache {

/// A layer as its table of contents. Metadata is answered from memory; the first name that is opened brings the tree,
/// unless it is a file whose bytes were kept with the table.
class TableLayer final : public LayerTree {
 public:
  /// Gives the layer's tree; may download and unpack, and throws what that throws. Called once if it succeeds.
  using Bring = std::function<std::shared_ptr<const LayerTree>()>;

  TableLayer(SharedTable table, Bring bring);
  /// A layer with a table of its own: files are brought without the tree where that is worth it. Files of the tree are
  /// compared with the table, of which keys may have been made: Error{missing_content} if it does not hold.
  TableLayer(std::shared_ptr<PartialLayer> parts, Bring bring);

  std::optional<struct stat> lookup(const std::string& path) const override;
  bool is_opaque(const std::string& path, const char* xattr) const override;
  std::optional<std::vector<Child>> list(const std::string& path, const Wanted& wanted) const override;
  std::string read_link(const std::string& path) const override;
  std::vector<sys::Xattr> xattrs(const std::string& path) const override;
  std::optional<Digest> content(const std::string& path) const override;
  std::optional<UniqueFd> open(const std::string& path, int flags) const override;
  void bring(const std::vector<std::string>& files) const override;

 private:
  std::vector<std::string> list_names(const std::string& path) const override;
  /// nullptr if there is none.
  const oci::layer::TableNode* find(const std::string& path) const;
  const oci::layer::TableNode& at(const std::string& path) const;
  struct stat stat_of(std::uint32_t node) const;
  std::optional<UniqueFd> open_kept(const oci::layer::TableNode& node) const;

  const SharedTable kept_;
  const oci::layer::LayerTable& table_;
  const dev_t device_;  ///< no other layer's
  std::shared_ptr<const LayerTree> with_files(const std::vector<std::string>& files) const;
  std::shared_ptr<const LayerTree> tree_for(const std::string& path) const;
  void check_files(const LayerTree& tree, const std::vector<std::string>& files) const;

  const Bring bring_;
  const std::shared_ptr<PartialLayer> parts_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::shared_ptr<const LayerTree> whole_;
  mutable std::shared_ptr<const LayerTree> brought_;  ///< by bring(): perhaps not all of it
};

}  // namespace cbuild::cache
