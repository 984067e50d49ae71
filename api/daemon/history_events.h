// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "api/daemon/state.h"
#include "api/proto/control.pb.h"

namespace cbuild::api {

/// The builds that run and those that the store remembers, as far as the request asks for them.
std::vector<moby::buildkit::v1::BuildHistoryEvent> history_events(
    DaemonState& state, const moby::buildkit::v1::BuildHistoryRequest& request);
/// Forgets a build. Throws Error{not_found}.
void update_history(DaemonState& state, const moby::buildkit::v1::UpdateBuildHistoryRequest& request);

}  // namespace cbuild::api
