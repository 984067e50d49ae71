// SPDX-License-Identifier: Apache-2.0
// rtnetlink by hand: five requests, a tenth of a millisecond each, where ip(8) would be a process each.
#include "sandbox/network/netlink.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sandbox::network {
namespace {

/// A message that grows; attributes are aligned to four bytes and may hold others.
class RouteMessage {
 public:
  template <typename Body>
  RouteMessage(std::uint16_t type, std::uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&header, sizeof header);
    append(&body, sizeof body);
  }
  void append(const void* data, std::size_t size) {
    text_.append(static_cast<const char*>(data), size);
    text_.append((4 - size % 4) % 4, '\0');
  }
  void attribute(std::uint16_t type, const void* data, std::size_t size) {
    const rtattr header{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    append(&header, sizeof header);
    append(data, size);
  }
  void attribute(std::uint16_t type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  std::size_t begin(std::uint16_t type) {
    const std::size_t at = text_.size();
    attribute(type, nullptr, 0);
    return at;
  }
  void end(std::size_t at) {
    const auto size = static_cast<std::uint16_t>(text_.size() - at);
    std::memcpy(text_.data() + at, &size, sizeof size);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

struct Address {
  std::array<unsigned char, 16> bytes{};
  unsigned char family = AF_INET;
  std::size_t size() const { return family == AF_INET ? 4 : 16; }
};

Address parse_address(const std::string& text) {
  Address out;
  if (::inet_pton(AF_INET, text.c_str(), out.bytes.data()) == 1) return out;
  out.family = AF_INET6;
  CBUILD_CHECK(::inet_pton(AF_INET6, text.c_str(), out.bytes.data()) == 1);
  return out;
}

int index_of(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) throw_errno(errno, cat("network device ", device));
  return static_cast<int>(index);
}

}  // namespace

RouteSocket::RouteSocket() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
  if (!socket_) throw_errno(errno, "netlink");
}

void RouteSocket::ask(std::string message, const std::string& what) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
  ++sequence_;
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence_, sizeof sequence_);
  if (::send(socket_.get(), message.data(), message.size(), 0) < 0) throw_errno(errno, what);
  alignas(nlmsghdr) std::array<char, 8192> answer;
  const ssize_t got = ::recv(socket_.get(), answer.data(), answer.size(), 0);
  if (got < 0) throw_errno(errno, what);
  nlmsghdr header{};
  nlmsgerr result{};
  if (static_cast<std::size_t>(got) < NLMSG_LENGTH(sizeof result.error)) throw_errno(EBADMSG, what);
  std::memcpy(&header, answer.data(), sizeof header);
  std::memcpy(&result.error, answer.data() + NLMSG_HDRLEN, sizeof result.error);
  if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq != sequence_) throw_errno(EBADMSG, what);
  if (result.error != 0) throw_errno(-result.error, what);
}

void RouteSocket::add_pair(const std::string& name, const std::string& peer, int peer_name_space) {
  const ifinfomsg none{};
  RouteMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, none);
  message.attribute(IFLA_IFNAME, name);
  const std::size_t info = message.begin(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, "veth");
  const std::size_t data = message.begin(IFLA_INFO_DATA), other = message.begin(VETH_INFO_PEER);
  message.append(&none, sizeof none);
  message.attribute(IFLA_IFNAME, peer);
  message.attribute(IFLA_NET_NS_FD, &peer_name_space, sizeof peer_name_space);
  for (const std::size_t at : {other, data, info}) message.end(at);
  ask(message.take(), cat("make network device ", name));
}

void RouteSocket::bring_up(const std::string& device) {
  ifinfomsg body{};
  body.ifi_index = index_of(device);
  body.ifi_flags = body.ifi_change = IFF_UP;
  ask(RouteMessage(RTM_NEWLINK, 0, body).take(), cat("bring ", device, " up"));
}

void RouteSocket::add_address(const std::string& device, const std::string& address, unsigned prefix) {
  const Address parsed = parse_address(address);
  ifaddrmsg body{};
  body.ifa_family = parsed.family;
  body.ifa_prefixlen = static_cast<unsigned char>(prefix);
  body.ifa_flags = parsed.family == AF_INET6 ? IFA_F_NODAD : 0;
  body.ifa_index = static_cast<unsigned>(index_of(device));
  RouteMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body);
  message.attribute(IFA_LOCAL, parsed.bytes.data(), parsed.size());
  message.attribute(IFA_ADDRESS, parsed.bytes.data(), parsed.size());
  ask(message.take(), cat("give ", device, " the address ", address));
}

void RouteSocket::add_default_route(const std::string& gateway, const std::string& device) {
  const Address parsed = parse_address(gateway);
  const int index = index_of(device);
  rtmsg body{};
  body.rtm_family = parsed.family;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  RouteMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body);
  message.attribute(RTA_GATEWAY, parsed.bytes.data(), parsed.size());
  message.attribute(RTA_OIF, &index, sizeof index);
  ask(message.take(), cat("route over ", gateway));
}

void RouteSocket::route_all_to_itself(const std::string& device, unsigned char family) {
  const int index = index_of(device);
  rtmsg body{};
  body.rtm_family = family;
  body.rtm_table = RT_TABLE_LOCAL;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_HOST;
  body.rtm_type = RTN_LOCAL;
  RouteMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body);
  message.attribute(RTA_OIF, &index, sizeof index);
  ask(message.take(), "route everything to itself");
}

void RouteSocket::remove(const std::string& device) {
  ifinfomsg body{};
  body.ifi_index = index_of(device);
  ask(RouteMessage(RTM_DELLINK, 0, body).take(), cat("remove ", device));
}

}  // namespace cbuild::sandbox::network
