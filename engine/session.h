// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "cache/store.h"
#include "sandbox/runner.h"
#include "solver/worker_limit.h"

namespace cbuild::engine {

/// The set-up that builds of one process share: the store's place, the process that clones steps, the way it was made
/// root.
struct Session {
  std::string root;           ///< directory of the store
  bool unprivileged = false;  ///< runs in a user namespace of its own
  /// Why an ordinary user could not enter a user namespace: no command can be run then.
  std::optional<Error> no_user_namespace;
  bool user_xattr = false;                  ///< overlay marks are user.*: those of root cannot be set here
  bool owners_apart = false;                ///< files cannot be given to other users (cache::StoreOptions)
  std::string user_namespace;               ///< the mapped ids, for the progress output
  std::unique_ptr<sandbox::Zygote> zygote;  ///< forked before any thread
  std::unique_ptr<solver::WorkerLimit> workers;
};

/// Must run before any thread exists: enters a user namespace for ordinary users, and for root that may not mount, and
/// forks the zygote. An empty `root` means the user's default store.
Session start_session(const std::string& root);

/// One more session on the same store, for a build at the same time as those of `first`. Must run before any thread
/// exists.
Session another_session(const Session& first);

/// How a process of this session opens the store.
cache::StoreOptions store_options(const Session& session, bool makes_room = false);

/// The mode of that name, or the best one that works here if no mode has it; says which with `tell` or if it is not
/// root.
sandbox::Mode choose_isolation(const std::string& wanted, bool tell, const Session& session, ProgressSink& progress);

}  // namespace cbuild::engine
