// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"

namespace cbuild::api {

/// The directory of one daemon in the store, for what goes with its builds: removed at the end, or by the next daemon
/// if this one is killed.
class Workspace {
 public:
  /// Below the store `root`, which exists. Removes those of daemons that are dead. Throws Error.
  explicit Workspace(const std::string& root);
  std::string path() const { return directory_.path(); }

 private:
  TempDir directory_;
  FileLock lock_;
};

/// The directory of the store with the copies of clients' directories.
std::string client_copies(const std::string& root);
/// Removes copies that no build has used for so long, and that none uses now. Errors are left for the next time.
void remove_client_copies(const std::string& root, std::int64_t unused_for_ns) noexcept;

}  // namespace cbuild::api
