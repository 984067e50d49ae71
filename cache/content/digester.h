// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/content/content_tree.h"

namespace cbuild::cache {

/// Digests of content under one selection's rules. The selection outlives it.
class Digester {
 public:
  explicit Digester(const Selector& selection) : selection_(selection), excludes_(selection.excludes) {}

  /// One selected thing: its own metadata and all below, without its name. The root of a tree counts without
  /// its own metadata.
  Digest item(const ContentEntry& entry, bool is_root) const;
  /// The metadata of one entry and its name.
  void append_line(std::string& out, std::string_view name, const ContentEntry& entry, const Digest& payload) const;

  /// The content of a selected entry: a file's bytes, a link's target, all below a directory.
  Digest payload(const ContentEntry& entry) const;

  /// Children of a selected directory with their digests, as they count.
  struct Child {
    const ContentEntry* entry;
    Digest digest;
  };
  std::vector<Child> children(const ContentDirectory& directory) const;
  /// Whether children() may be asked for a directory below the selected one: excludes are relative to that.
  bool can_descend() const { return excludes_.empty(); }

 private:
  Digest whole(ContentDirectory& directory) const;
  std::optional<Digest> filtered(const ContentDirectory& directory, const std::string& path,
                                 const PathPatternList::ParentMatch& above, std::vector<Child>* children) const;

  const Selector& selection_;
  PathPatternList excludes_;
};

}  // namespace cbuild::cache
