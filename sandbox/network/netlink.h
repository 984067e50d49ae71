// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace cbuild::sandbox::network {

/// Devices, addresses and routes of the network namespace in which it was made. Throws Error.
class RouteSocket {
 public:
  RouteSocket();
  /// A pair of devices, the second one in that namespace. It goes with either of them.
  void add_pair(const std::string& name, const std::string& peer, int peer_name_space);
  void bring_up(const std::string& device);
  /// `address` is IPv4 or IPv6.
  void add_address(const std::string& device, const std::string& address, unsigned prefix);
  void add_default_route(const std::string& gateway, const std::string& device);
  /// Every address of the family (AF_INET, AF_INET6) that no other route has is one of this namespace's own.
  void route_all_to_itself(const std::string& device, unsigned char family);
  void remove(const std::string& device);

 private:
  void ask(std::string message, const std::string& what);

  UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace cbuild::sandbox::network
