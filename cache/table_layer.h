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

namespace cbuild::cache {

/// A layer as its table of contents. Metadata is answered from memory; the first name that is opened brings the tree,
/// unless it is a file whose bytes were kept with the table.
class TableLayer final : public LayerTree {
 public:
  /// Gives the layer's tree; may download and unpack, and throws what that throws. Called once if it succeeds.
  using Bring = std::function<std::shared_ptr<const LayerTree>()>;

  TableLayer(SharedTable table, Bring bring);

  std::optional<struct stat> lookup(const std::string& path) const override;
  bool is_opaque(const std::string& path, const char* xattr) const override;
  std::optional<std::vector<Child>> list(const std::string& path, const Wanted& wanted) const override;
  std::string read_link(const std::string& path) const override;
  std::vector<sys::Xattr> xattrs(const std::string& path) const override;
  std::optional<Digest> content(const std::string& path) const override;
  std::optional<UniqueFd> open(const std::string& path, int flags) const override;

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
  const Bring bring_;
  mutable std::mutex mutex_;  // guards brought_
  mutable std::shared_ptr<const LayerTree> brought_;
};

}  // namespace cbuild::cache
