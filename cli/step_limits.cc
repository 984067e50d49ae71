// SPDX-License-Identifier: Apache-2.0
#include "cli/step_limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

[[noreturn]] void usage(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 || inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

}  // namespace

std::int64_t parse_step_timeout(const std::string& text) {
  const auto ns = parse_duration_ns(text);
  if (!ns || *ns < 0) usage(cat("--step-timeout: '", text, "' is not a duration"), "write a number with a unit: 90s, 10m");
  return *ns;
}

std::string parse_extra_host(const std::string& text) {
  std::size_t at = text.find('=');
  if (at == std::string::npos) at = text.find(':');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) usage(cat("--add-host: '", text, "' is not HOST:IP"));
  std::string ip = text.substr(at + 1);
  if (ip == "host-gateway") ip = "127.0.0.1";  // steps are on this machine's network, where it is itself
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  if (!is_address(ip)) usage(cat("--add-host: '", ip, "' is not an IP address"), "HOST:IP, or HOST:host-gateway for this machine");
  return cat(text.substr(0, at), '=', ip);
}

void check_entitlement(const std::string& text) {
  static const std::vector<std::string> known = {"network.host", "security.insecure", "device"};
  if (std::find(known.begin(), known.end(), text) != known.end()) return;
  if (text.starts_with("device=") && text.size() > 7) return;
  const auto near = suggest(text, known);
  usage(cat("--allow: unknown entitlement '", text, "'"),
        near ? cat("did you mean ", *near, "?") : "network.host, security.insecure, device or device=NAME");
}

}  // namespace cbuild::cli
