// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/content/layer_tree.h"

namespace cbuild::cache {

/// A tree on disk, or mounted: opened once by descriptor. Its entries are what its side metadata says that they ought
/// to be.
class LayerDir final : public LayerTree {
 public:
  explicit LayerDir(UniqueFd fd, std::shared_ptr<const SideMetadata> side = nullptr)
      : fd_(std::move(fd)), side_(std::move(side)) {}
  int fd() const { return fd_.get(); }
  /// lookup() in a tree that may change: nothing is known of the parents.
  std::optional<struct stat> lookup_checked(const std::string& path) const;

  std::optional<struct stat> lookup(const std::string& path) const override;
  bool is_opaque(const std::string& path, const char* xattr) const override;
  std::optional<std::vector<Child>> list(const std::string& path, const Wanted& wanted) const override;
  std::string read_link(const std::string& path) const override;
  std::vector<sys::Xattr> xattrs(const std::string& path) const override;
  std::optional<Digest> content(const std::string&) const override { return std::nullopt; }
  std::optional<UniqueFd> open(const std::string& path, int flags) const override;
  const SideMetadata* side() const override { return side_.get(); }

 private:
  std::vector<std::string> list_names(const std::string& path) const override;

  UniqueFd fd_;
  std::shared_ptr<const SideMetadata> side_;  ///< null if it has none
};

}  // namespace cbuild::cache
