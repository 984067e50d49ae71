// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cache/store.h"
#include "solver/graph/op.h"
#include "solver/sources/source_access.h"

namespace cbuild::solver::ops {

/// Where a ref of a remote points now.
struct GitCommit {
  std::string commit;      ///< full object name
  std::string tag_object;  ///< of the annotated tag on the way; empty if there is none
  std::string ref;         ///< "refs/heads/main"

  bool operator==(const GitCommit&) const = default;
};

/// The answer of `git ls-remote --symref` about `ref` (empty: HEAD): a branch wins over a tag of that name, a full name
/// over both. nullopt when the ref is not there.
std::optional<GitCommit> parse_ls_remote(std::string_view output, std::string_view ref);

/// Repositories by URL, read with the git program. Objects are kept in one bare repository a remote, in the store, one
/// process at a time; gc treats it as a cache mount. Thread-safe.
class GitSources {
 public:
  explicit GitSources(SourceAccess access);
  ~GitSources();

  /// Asked once per build. Throws Error{not_found} for a ref that is not there, {input} for one that is not a ref,
  /// {denied}, {network}.
  GitCommit pin(const std::string& remote, const std::string& ref);
  /// The committer's time of a commit, in seconds since the epoch. `ref`: where it was found; may be empty.
  std::int64_t commit_time(const std::string& remote, const std::string& commit, const std::string& ref);
  /// Puts the tree of a GitSource into `target`: files 0644 or 0755, directories 0755.
  void check_out(const GitSource& source, cache::Staging& target);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::solver::ops
