// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/services.h"
#include "supply/lock_file.h"

namespace cbuild::engine {

/// What becomes of the sources that a lock file has already.
struct LockPlan {
  bool update_all = false;
  std::vector<std::string> update;  ///< names, as a lock file or a Dockerfile has them
  bool check = false;               ///< all are compared with what is there now
};

/// A source before and after. `before` is empty for one that is new, `after` for one that the Dockerfile no longer has.
struct LockChange {
  supply::LockedSource before, after;
  std::string where;  ///< "Dockerfile:3"; empty where there is no such place
};

struct LockResult {
  supply::LockFile lock;            ///< as the file should be
  std::vector<LockChange> changes;  ///< in the order of the Dockerfile, then what it no longer has
  std::string path;                 ///< of the file
};

/// The sources of all stages of the request's Dockerfile, for its platforms (else those of the lock file), and what
/// they are: as the lock file has them unless `plan` says otherwise. Nothing is written. Throws DiagnosticError and
/// Error; Error{usage} for a name in the plan that is not a source, and where there is no place for a lock file.
LockResult lock_sources(Services& services, const LockPlan& plan);

}  // namespace cbuild::engine
