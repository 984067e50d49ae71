// SPDX-License-Identifier: Apache-2.0
// IPv4 is kept in its mapped form, so that a range is a number of leading bits for both families. A text of digits and
// dots is never a name: a mistyped address must not become one.
#include "sandbox/network/egress_rules.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sandbox::network {
namespace {

constexpr std::uint16_t kUsualPorts[] = {80, 443};
constexpr unsigned kMappedBits = 96;
constexpr std::size_t kMaxName = 253;

[[noreturn]] void refuse_rule(const std::string& text, std::string_view why) {
  throw Error(ErrorCode::usage, cat("--allow-net: invalid rule '", text, "': ", why))
      .with_hint(
          "HOST, *.DOMAIN, ADDRESS or ADDRESS/BITS, each with :PORT if it is not 80 and 443: pypi.org,"
          "*.debian.org:80,10.0.0.0/8:5000,[2001:db8::/32]:443");
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  for (const std::string& label : split(name, '.')) {
    const bool plain = std::all_of(label.begin(), label.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (label.empty() || label.size() > 63 || !plain) return false;
  }
  return true;
}

/// Splits off ":PORT"; what is before it may be in brackets.
std::string take_port(const std::string& text, std::vector<std::uint16_t>& ports) {
  std::string host = text, port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos) refuse_rule(text, "']' is missing");
    host = text.substr(1, end - 1);
    if (end + 1 < text.size() && text[end + 1] != ':') refuse_rule(text, "after ']' only :PORT may follow");
    port = end + 1 < text.size() ? text.substr(end + 1) : "";
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':'));
  }
  if (port.empty()) {
    ports.assign(std::begin(kUsualPorts), std::end(kUsualPorts));
    return host;
  }
  const auto number = parse_int(port.substr(1));
  if (!number || *number < 1 || *number > 65535) refuse_rule(text, "the port is not a number from 1 to 65535");
  ports.push_back(static_cast<std::uint16_t>(*number));
  return host;
}

std::string plain_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return to_lower(name);
}

}  // namespace

bool is_v4(const IpAddress& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](unsigned char byte) { return byte == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

bool parse_ip(const std::string& text, IpAddress& out) {
  if (::inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return true;
  out = {};
  out[10] = out[11] = 0xff;
  return ::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1;
}

std::string format_ip(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_v4(address)) {
    ::inet_ntop(AF_INET, address.data() + 12, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
  }
  return text;
}

std::string format_place(const IpAddress& address, std::uint16_t port) {
  const std::string text = format_ip(address);
  return is_v4(address) ? cat(text, ':', port) : cat('[', text, "]:", port);
}

EgressRules::Rule EgressRules::parse(const std::string& text) {
  Rule out;
  const std::string host = take_port(text, out.ports);
  const std::size_t slash = host.find('/');
  if (parse_ip(host.substr(0, slash), out.address)) {
    const unsigned most = is_v4(out.address) ? 32 : 128;
    const auto bits =
        slash == std::string::npos ? std::optional<std::int64_t>(most) : parse_int(host.substr(slash + 1));
    if (!bits || *bits < 0 || *bits > most)
      refuse_rule(text, cat("the length of a range is a number from 0 to ", most));
    out.bits = static_cast<unsigned>(*bits) + (most == 32 ? kMappedBits : 0);
    return out;
  }
  out.name = plain_name(host);
  const std::string_view below = out.name.starts_with("*.") ? std::string_view(out.name).substr(2) : out.name;
  const bool number_like = !below.empty() && below.find_first_not_of("0123456789.") == std::string_view::npos;
  if (slash != std::string::npos || number_like || !is_host_name(below))
    refuse_rule(text, "it is neither a name nor an address");
  if (out.name.starts_with('*')) out.name.erase(0, 1);
  return out;
}

EgressRules::EgressRules(const std::vector<std::string>& rules) {
  for (const std::string& rule : rules) {
    rules_.push_back(parse(rule));
    ports_.insert(rules_.back().ports.begin(), rules_.back().ports.end());
  }
}

bool EgressRules::allows_name(std::string_view name) const {
  return std::any_of(ports_.begin(), ports_.end(), [&](std::uint16_t port) { return allows_name(name, port); });
}

bool EgressRules::allows_name(std::string_view name, std::uint16_t port) const {
  const std::string plain = plain_name(name);
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    const bool below = rule.name.starts_with('.') && plain.ends_with(rule.name) && plain.size() > rule.name.size();
    return !rule.name.empty() && (below || plain == rule.name) &&
           std::find(rule.ports.begin(), rule.ports.end(), port) != rule.ports.end();
  });
}

bool EgressRules::allows_address(const IpAddress& address, std::uint16_t port) const {
  const auto covers = [&](const Rule& rule) {
    for (unsigned bit = 0; bit < rule.bits; bit += 8) {
      const unsigned left = std::min(8u, rule.bits - bit);
      const auto mask = static_cast<unsigned char>(0xff00u >> left);
      if (((rule.address[bit / 8] ^ address[bit / 8]) & mask) != 0) return false;
    }
    return true;
  };
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return rule.name.empty() && std::find(rule.ports.begin(), rule.ports.end(), port) != rule.ports.end() &&
           covers(rule);
  });
}

}  // namespace cbuild::sandbox::network
