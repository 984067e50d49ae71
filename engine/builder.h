// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "base/progress.h"
#include "engine/request/request.h"
#include "engine/result.h"
#include "engine/session.h"

namespace cbuild::engine {

/// Builds from requests to results.
class Builder {
 public:
  /// `session` must outlive it.
  explicit Builder(const Session& session) : session_(session) {}

  /// One build from Dockerfile to outputs. `progress` gets events meanwhile, from any thread. Failures are in the
  /// result and are not thrown; other exceptions than cbuild's own (out of memory) are.
  BuildResult build(const BuildRequest& request, ProgressSink& progress, const CancelSource& cancel);

 private:
  const Session& session_;
};

}  // namespace cbuild::engine
