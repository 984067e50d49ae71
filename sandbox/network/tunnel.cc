// SPDX-License-Identifier: Apache-2.0
#include "sandbox/network/tunnel.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

namespace cbuild::sandbox::network {
namespace {

constexpr int kIdleMs = 600'000;
constexpr std::size_t kPiece = 64u << 10;

/// One direction.
struct Flow {
  int from, to;
  bool held = false;  ///< nothing is sent yet
  std::string pending = {};
  std::size_t sent = 0;
  bool ended = false, shut = false, broken = false;

  bool wants_more() const { return !ended && (held || pending.empty()); }
  bool wants_to_send() const { return !held && !pending.empty(); }
  void receive();
  void send();
};

void Flow::receive() {
  const std::size_t before = pending.size();
  pending.resize(before + kPiece);
  const ssize_t size = ::recv(from, pending.data() + before, kPiece, 0);
  pending.resize(before + static_cast<std::size_t>(size > 0 ? size : 0));
  if (size == 0) ended = true;
  if (size < 0 && errno != EAGAIN && errno != EINTR) broken = true;
}

void Flow::send() {
  const ssize_t size = ::send(to, pending.data() + sent, pending.size() - sent, MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN && errno != EINTR) broken = true;
  if (size > 0) sent += static_cast<std::size_t>(size);
  if (sent < pending.size()) return;
  pending.clear();
  sent = 0;
}

}  // namespace

void carry(int client, int server, const std::function<bool(const WireName&)>& admits, const CancelSource& stop) {
  std::array<Flow, 2> flows{Flow{client, server, true}, Flow{server, client}};
  while (!flows[0].shut || !flows[1].shut) {
    pollfd polled[3] = {{client, 0, 0}, {server, 0, 0}, {stop.event_fd(), POLLIN, 0}};
    for (std::size_t i = 0; i < 2; ++i) {
      if (flows[i].wants_more()) polled[i].events |= POLLIN;
      if (flows[i].wants_to_send()) polled[1 - i].events |= POLLOUT;
    }
    const int ready = ::poll(polled, 3, kIdleMs);
    if (ready == 0 || (ready < 0 && errno != EINTR) || polled[2].revents != 0) return;
    if (((polled[0].revents | polled[1].revents) & (POLLERR | POLLNVAL)) != 0) return;
    for (std::size_t i = 0; i < 2; ++i) {
      Flow& flow = flows[i];
      if (flow.wants_more() && (polled[i].revents & (POLLIN | POLLHUP)) != 0) flow.receive();
      if (flow.held) {
        const WireName name = first_name(flow.pending);
        flow.held = name.found == Wire::more && !flow.ended;
        if (!flow.held && !admits(name)) return;
      }
      if (flow.wants_to_send()) flow.send();
      if (flow.broken) return;
      if (flow.ended && flow.pending.empty() && !flow.shut) {
        ::shutdown(flow.to, SHUT_WR);
        flow.shut = true;
      }
    }
  }
}

}  // namespace cbuild::sandbox::network
