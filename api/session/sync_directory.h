// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/files.h"

namespace cbuild::api {

/// Bounds of what a client may send; more is Error{input}.
struct SyncLimits {
  std::uint64_t entries = 5'000'000;
  std::uint64_t bytes = std::uint64_t{1} << 40;  ///< of all files
  std::size_t depth = 256;                       ///< of directories
  std::size_t in_flight = 256;                   ///< files asked for and not there yet
};

/// Of bytes and files received, or sent, so far. Called often, by one thread at a time.
using SyncProgress = std::function<void(std::uint64_t bytes, std::uint64_t files)>;

/// Which part of a directory of the client. The patterns are evaluated by the client.
struct SyncRequest {
  std::string directory_name;  ///< as the client calls it: "context", "dockerfile", a named context
  std::vector<std::string> include, exclude, follow_paths;
  SyncLimits limits;
  SyncProgress progress;  ///< may be empty
};

struct SyncResult {
  std::uint64_t entries = 0;           ///< in the directory
  std::uint64_t files = 0, bytes = 0;  ///< moved
  /// Files that the client could not read whole, and devices that need rights which this process lacks. The tree has
  /// the part that came of a file, and no such device; the next sync asks for them again. At most 100.
  std::vector<std::string> incomplete;
};

/// A directory that goes to the client.
struct SendRequest {
  int exporter_index = 0;
  std::map<std::string, std::string> metadata;  ///< the result that the client is told of
  bool multi_platform = false;                  ///< the root has one directory a platform
  SyncProgress progress;                        ///< may be empty
};

/// A copy of a directory of a client, kept from one build to the next: a directory of this machine with "tree", which
/// the user of a sync reads, and files of its own next to it. It is locked as long as this object lives, also against
/// other processes. However a sync ends, the next one goes on from there: what was not finished does not count as
/// equal.
class SyncedDirectory {
 public:
  /// Creates the directory, whose parent exists, where it is missing. nullopt: it is locked by somebody else.
  static std::optional<SyncedDirectory> try_lock(const std::string& path);
  /// Waits for the lock. Throws Error{cancelled}.
  static SyncedDirectory lock(const std::string& path, const CancelSource* cancel);

  /// Absolute path of the tree; exists from the beginning.
  const std::string& tree_path() const { return tree_path_; }
  int tree_fd() const { return tree_.get(); }
  /// A place for files before they are in the tree; on the same file system.
  int staging_fd() const { return staging_.get(); }

 private:
  SyncedDirectory(FileLock lock, int fd);

  FileLock lock_;
  UniqueFd tree_, staging_;
  std::string tree_path_;
};

}  // namespace cbuild::api
