// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/pattern/path_pattern.h"
#include "base/sys.h"
#include "cache/content/stat_table.h"
#include "cache/content/tree_digest.h"

namespace cbuild::cache {

struct ContentDirectory;

/// One entry of a tree whose content is known by digest; tree digests are made of these.
struct ContentEntry {
  std::string name;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t device = 0;  ///< st_rdev of device nodes
  std::uint64_t size = 0;    ///< of a file, in bytes; for explanations only
  Digest content;            ///< of a file's bytes or a symlink's target
  Digest xattrs;             ///< of those that count; empty for none
  std::shared_ptr<ContentDirectory> directory;
  StatId id;                       ///< of a local file
  bool cacheable = false;          ///< its digests may be remembered under `id`
  bool fresh = false;              ///< read now, not from the table
  bool only_for_children = false;  ///< ignored itself, kept for entries below it that a negation may take back
};

struct ContentDirectory {
  std::vector<ContentEntry> entries;  ///< sorted by name
  std::vector<std::string> ignored;   ///< names that were there but not looked at
  /// Digests without excludes by [ignore_mode][ignore_owner], filled on demand.
  std::array<std::array<std::optional<Digest>, 2>, 2> digests;
};

/// Digest of the xattrs that count (security.capability and user.* without overlay's); empty if there is
/// none.
Digest xattr_digest(const std::vector<sys::Xattr>& xattrs);

/// Removes directories that were only kept for children that did not come.
void drop_childless(ContentDirectory& directory);

/// Reads the content of one selected path, its parents excepted.
using ContentOf = std::function<const ContentEntry&(const std::string& path)>;
/// Only the metadata of the entry that the path leads to, symlinks followed (for --parents).
using HeaderOf = std::function<ContentEntry(const std::string& path)>;

/// The digest that digest_tree() and LocalTree::digest() promise, over content from anywhere.
Digest digest_selection(const std::vector<Selected>& selected, const Selector& selection, const ContentOf& content,
                        const HeaderOf& header, std::vector<KeyPart>* parts);

}  // namespace cbuild::cache
