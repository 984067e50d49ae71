// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "api/proto/control.pb.h"
#include "engine/session.h"

namespace cbuild::api {

/// The contents of the store, as records of BuildKit. Both throw Error{usage} for a filter that means nothing here.
void list_usage(const engine::Session& session, const moby::buildkit::v1::DiskUsageRequest& request,
                moby::buildkit::v1::DiskUsageResponse& response);
/// Removes what the request says; the records of what is gone.
std::vector<moby::buildkit::v1::UsageRecord> prune_store(const engine::Session& session,
                                                         const moby::buildkit::v1::PruneRequest& request);

}  // namespace cbuild::api
