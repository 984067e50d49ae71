// SPDX-License-Identifier: Apache-2.0
#include "sandbox/network/egress_sockets.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/sys.h"

namespace cbuild::sandbox::network {
namespace {

constexpr int kConnectMs = 30'000;

struct RawAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

RawAddress socket_address(const IpEndpoint& place) {
  const auto& [address, port] = place;
  RawAddress out;
  if (is_v4(address)) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    std::memcpy(&v4->sin_addr, address.data() + 12, 4);
    out.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    std::memcpy(&v6->sin6_addr, address.data(), 16);
    out.size = sizeof *v6;
  }
  return out;
}

}  // namespace

std::optional<IpEndpoint> local_place(int socket) {
  RawAddress from;
  from.size = sizeof from.storage;
  if (::getsockname(socket, from.get(), &from.size) != 0) return std::nullopt;
  IpEndpoint out;
  if (from.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&from.storage);
    out.address[10] = out.address[11] = 0xff;
    std::memcpy(out.address.data() + 12, &v4->sin_addr, 4);
    out.port = ntohs(v4->sin_port);
  } else {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&from.storage);
    std::memcpy(out.address.data(), &v6->sin6_addr, 16);
    out.port = ntohs(v6->sin6_port);
  }
  return out;
}

bool wait_for(int fd, short events, int timeout_ms, const CancelSource& stop) {
  pollfd polled[2] = {{fd, events, 0}, {stop.event_fd(), POLLIN, 0}};
  const std::int64_t until = sys::monotonic_ns() + std::int64_t{timeout_ms} * 1'000'000;
  for (;;) {
    const int left = static_cast<int>((until - sys::monotonic_ns()) / 1'000'000);
    const int ready = ::poll(polled, 2, std::max(left, 0));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && polled[1].revents == 0;
  }
}

UniqueFd connected(const IpEndpoint& place, int type, const CancelSource& stop) {
  const RawAddress to = socket_address(place);
  UniqueFd out(::socket(to.get()->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!out || (::connect(out.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)) return {};
  if (type == SOCK_DGRAM) return out;
  int error = 0;
  socklen_t size = sizeof error;
  if (!wait_for(out.get(), POLLOUT, kConnectMs, stop) ||
      ::getsockopt(out.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
    return {};
  return out;
}

UniqueFd listening(const IpEndpoint& place, int type) {
  const RawAddress at = socket_address(place);
  UniqueFd out(::socket(at.get()->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!out || ::setsockopt(out.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return {};
  if (at.get()->sa_family == AF_INET6) ::setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(out.get(), at.get(), at.size) != 0 || (type == SOCK_STREAM && ::listen(out.get(), 128) != 0)) return {};
  return out;
}

UniqueFd watch_connections() {
  UniqueFd out(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
  // TCP, not a later fragment, SYN without ACK; of IPv4 or IPv6 without extension headers.
  static const sock_filter kFirst[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 13),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 11, 0),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
      BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 7),  // IPv6
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 53),
      BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 0),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 128),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(kFirst)), const_cast<sock_filter*>(kFirst)};
  if (out && ::setsockopt(out.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) out.reset();
  return out;
}

std::optional<IpEndpoint> next_connection(int socket) {
  std::array<unsigned char, 128> packet;
  const ssize_t got = ::recv(socket, packet.data(), packet.size(), 0);
  const std::size_t size = got > 0 ? static_cast<std::size_t>(got) : 0;
  if (size < 20) return std::nullopt;
  IpEndpoint out;
  std::size_t header = 40;
  if (packet[0] >> 4 == 4) {
    header = std::size_t{packet[0] & 15u} * 4;
    out.address[10] = out.address[11] = 0xff;
    std::copy_n(packet.begin() + 16, 4, out.address.begin() + 12);
  } else if (size >= header) {
    std::copy_n(packet.begin() + 24, 16, out.address.begin());
  }
  if (size < header + 4) return std::nullopt;
  out.port = static_cast<std::uint16_t>(packet[header + 2] << 8 | packet[header + 3]);
  return out;
}

}  // namespace cbuild::sandbox::network
