// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "base/cancel.h"
#include "engine/result.h"

namespace cbuild::engine {

/// The result that `work` fills. cbuild's own exceptions out of it become the result's failure; others are thrown.
BuildResult failures_in_result(const CancelSource& cancel, const std::function<void(BuildResult&)>& work);

}  // namespace cbuild::engine
