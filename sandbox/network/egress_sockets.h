// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "base/cancel.h"
#include "base/fd.h"
#include "sandbox/network/egress_rules.h"

/// Sockets of the calling thread's network namespace, for addresses of both families. None of them blocks.
namespace cbuild::sandbox::network {

/// An address and a port.
struct IpEndpoint {
  IpAddress address{};
  std::uint16_t port = 0;
};

/// Where a socket is bound to: for a connection that was taken, where the other side wanted to go.
std::optional<IpEndpoint> local_place(int socket);

/// Whether `fd` has one of the poll(2) events in time, before `stop`.
bool wait_for(int fd, short events, int timeout_ms, const CancelSource& stop);
/// `type` SOCK_STREAM or SOCK_DGRAM; empty if there is no way in 30 s.
UniqueFd connected(const IpEndpoint& to, int type, const CancelSource& stop);
/// Empty if the place is taken, or the family is missing here.
UniqueFd listening(const IpEndpoint& at, int type);

/// A packet socket with the first packet of each TCP connection, also of those that nobody takes; empty without the
/// right.
UniqueFd watch_connections();
/// Where the packet that waits in such a socket wants to go; nullopt: there is none.
std::optional<IpEndpoint> next_connection(int socket);

}  // namespace cbuild::sandbox::network
