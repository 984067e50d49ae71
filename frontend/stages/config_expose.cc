// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/config_expose.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::frontend {

namespace {

struct PortParts {
  std::string ip, host_port, container_port;
};
struct PortRange {
  std::int64_t first = 0, last = 0;
};

[[noreturn]] void invalid(std::string message) { throw Error(ErrorCode::input, std::move(message)); }

/// Parts from the right, because an IPv6 address has colons of its own.
PortParts split_parts(std::string_view word) {
  const std::vector<std::string> parts = split(word, ':');
  const std::size_t n = parts.size();
  if (n == 1) return {"", "", parts[0]};
  if (n == 2) return {"", parts[0], parts[1]};
  return {join(std::span(parts).first(n - 2), ":"), parts[n - 2], parts[n - 1]};
}

std::optional<std::int64_t> parse_port(std::string_view text) {
  const std::optional<std::int64_t> port = parse_int(text);
  if (!port || *port < 0 || *port > 65535) return std::nullopt;
  return port;
}

std::optional<PortRange> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text = dash == std::string_view::npos ? first_text : text.substr(dash + 1);
  const std::optional<std::int64_t> first = parse_port(first_text), last = parse_port(last_text);
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

void check_ip(std::string ip) {
  if (ip.empty()) return;
  if (ip.front() == '[') {
    if (ip.back() != ']') invalid(cat("invalid IP address ", ip, ": missing ']' in address"));
    ip = ip.substr(1, ip.size() - 2);
  }
  unsigned char bytes[sizeof(in6_addr)];
  if (::inet_pton(AF_INET, ip.c_str(), bytes) != 1 && ::inet_pton(AF_INET6, ip.c_str(), bytes) != 1) {
    invalid(cat("invalid IP address: ", ip));
  }
}

void check_host_port(const PortParts& parts, const PortRange& container) {
  if (parts.host_port.empty()) return;
  const std::optional<PortRange> host = parse_range(parts.host_port);
  if (!host) invalid(cat("invalid hostPort: ", parts.host_port));
  const bool same_width = host->last - host->first == container.last - container.first;
  if (!same_width && container.first != container.last) {
    invalid(
        cat("invalid ranges specified for container and host Ports: ", parts.container_port, " and ", parts.host_port));
  }
}

/// Takes "/proto" off the end of `port`.
std::string take_protocol(std::string_view word, std::string& port) {
  const std::size_t slash = port.find('/');
  const std::string protocol = slash == std::string::npos ? "" : to_lower(port.substr(slash + 1));
  const std::string written = slash == std::string::npos ? "" : port.substr(slash + 1);
  port.resize(std::min(slash, port.size()));
  if (port.empty()) invalid(cat("invalid port: ", go_quote(word), ": no port specified"));
  if (protocol.empty()) return "tcp";
  if (protocol == "tcp" || protocol == "udp" || protocol == "sctp") return protocol;
  invalid(cat("invalid port: ", go_quote(word), ": invalid proto: ", written));
}

}  // namespace

std::vector<std::string> parse_exposed_port(std::string_view word) {
  PortParts parts = split_parts(word);
  const std::string protocol = take_protocol(word, parts.container_port);
  check_ip(parts.ip);
  const std::optional<PortRange> range = parse_range(parts.container_port);
  if (!range) invalid(cat("invalid containerPort: ", parts.container_port));
  check_host_port(parts, *range);
  std::vector<std::string> out;
  for (std::int64_t port = range->first; port <= range->last; ++port) out.push_back(cat(port, "/", protocol));
  return out;
}

}  // namespace cbuild::frontend
