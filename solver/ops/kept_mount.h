// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/store.h"

namespace cbuild::solver::ops {

/// What a command finds and leaves at a mount whose content is a result.
struct KeptMount {
  std::string target;
  cache::Staging tree;
};

}  // namespace cbuild::solver::ops
