// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/content/layer_tree.h"

namespace cbuild::cache {

/// A tree on disk, or mounted: opened once by descriptor.
class LayerDir final : public LayerTree {
 public:
  explicit LayerDir(UniqueFd fd) : fd_(std::move(fd)) {}
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

 private:
  std::vector<std::string> list_names(const std::string& path) const override;

  UniqueFd fd_;
};

}  // namespace cbuild::cache
