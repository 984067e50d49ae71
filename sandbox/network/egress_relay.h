// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/network/egress_rules.h"

namespace cbuild::sandbox::network {

/// The address under which a step of a restricted network finds this machine (RFC 5737).
inline constexpr const char* kEgressGateway = "192.0.2.1";
/// Where names are asked for there.
inline constexpr const char* kEgressResolver = "127.0.0.1";

struct EgressSettings {
  EgressRules rules;
  std::vector<std::string> name_servers;  ///< addresses, asked in this order from the machine's own network
  std::vector<std::string> hosts;         ///< "NAME=ADDRESS" or "NAME=host-gateway", as in the step's /etc/hosts
};

/// The only way out of a network namespace: every address there is its own, and connections to the ports of the rules
/// are taken, looked at and carried over. Ends with the object, and all connections with it.
class EgressRelay {
 public:
  /// Sets up devices, routes and sockets of the namespace, which must be new. Throws Error.
  EgressRelay(int name_space, EgressSettings settings);
  ~EgressRelay();
  EgressRelay(const EgressRelay&) = delete;
  EgressRelay& operator=(const EgressRelay&) = delete;

  /// What was refused since the last call: "NAME", "NAME:PORT", "ADDRESS:PORT", each once, in their order; the last one
  /// may say that there were more. Thread-safe.
  std::vector<std::string> take_refused();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::sandbox::network
