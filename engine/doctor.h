// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cache/store.h"
#include "engine/session.h"

namespace cbuild::engine {

/// The result of one trial on this machine.
struct Finding {
  std::string topic;  ///< "user-namespace", "overlay", "other platforms"
  bool works = false;
  std::string detail;  ///< the way it works, or the system's reason against it
  std::string remedy;  ///< the setting that would give more; may be empty
};

struct Examination {
  sandbox::Mode mode = sandbox::Mode::none;  ///< the sandbox that steps get
  std::vector<Finding> findings;             ///< modes from the strongest down to that one, then the rest
};

/// Tries what the steps of a build with this store would have. Nothing of it stays.
Examination examine_machine(const Session& session, cache::Store& store);

}  // namespace cbuild::engine
