// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/daemon/builds.h"
#include "api/daemon/engine_slots.h"
#include "api/daemon/sessions.h"
#include "api/daemon/workspace.h"

namespace grpc {
class Service;
}

namespace cbuild::api {

/// What all services share. Everything else is in the store.
struct DaemonState {
  /// `allowed`: entitlements that clients may ask for, by name: "network.host", "security.insecure", "device".
  DaemonState(EngineSlots& engines, std::vector<std::string> allowed)
      : slots(engines), entitlements(std::move(allowed)), workspace(engines.root()) {}

  EngineSlots& slots;
  const std::vector<std::string> entitlements;
  const Workspace workspace;
  Sessions sessions;
  Builds builds;

  const std::string& root() const { return slots.root(); }
};

std::unique_ptr<grpc::Service> make_control_service(DaemonState& state);
std::unique_ptr<grpc::Service> make_bridge_service(DaemonState& state);
std::unique_ptr<grpc::Service> make_health_service();
std::unique_ptr<grpc::Service> make_trace_service();

}  // namespace cbuild::api
