// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "cache/content/tree.h"
#include "cache/store.h"
#include "oci/compression/compression.h"

namespace cbuild::exporter {

/// The files of one platform, and what an output does with them.
struct FileTree {
  cache::TreeView view;                            ///< its trees are there
  std::optional<std::int64_t> clamp_mtime_s = {};  ///< times after this are lowered to it
  std::string prefix = {};                         ///< a directory that everything is put into; empty: none
  std::string platform = {};                       ///< for messages
  /// More files, at the top: name and content. Nobody but their owner may read them.
  std::vector<std::pair<std::string, std::string>> extra_files = {};
};

/// The merged files of a chain; none of the empty one.
cache::TreeView open_rootfs(cache::Store& store, const Digest& chain);

/// Writes trees as one tar, one after the other, the entries of each sorted. A directory that several trees have is
/// written as the first has it; other entries that several have make two members. Throws Error.
void write_files_tar(std::span<const FileTree> trees, const CancelSource* cancel, const oci::layer::ByteSink& sink);

/// Throws Error{input} if two trees would write one path that is not a directory in both.
void check_distinct(std::span<const FileTree> trees);

}  // namespace cbuild::exporter
