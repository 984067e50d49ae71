// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::sandbox::network {

/// An IPv4 or IPv6 address; IPv4 in its mapped form, ::ffff:a.b.c.d.
using IpAddress = std::array<unsigned char, 16>;

/// Where steps of a restricted network may connect to.
class EgressRules {
 public:
  /// Each is `HOST`, `*.DOMAIN` (any name below it), an address, or a range ADDRESS/BITS, with `:PORT` behind it or
  /// ports 80 and 443 without; an IPv6 one with a port stands in brackets. Throws Error{usage}, which quotes the rule.
  explicit EgressRules(const std::vector<std::string>& rules);

  /// `name` as DNS has it, in any case, with or without the dot at the end.
  bool allows_name(std::string_view name) const;
  bool allows_name(std::string_view name, std::uint16_t port) const;
  bool allows_address(const IpAddress& address, std::uint16_t port) const;
  /// All ports of all rules.
  const std::set<std::uint16_t>& ports() const { return ports_; }

 private:
  struct Rule {
    std::string name;  ///< lower case; ".DOMAIN" for all below it; "": a range
    IpAddress address{};
    unsigned bits = 0;
    std::vector<std::uint16_t> ports;
  };
  static Rule parse(const std::string& text);

  std::vector<Rule> rules_;
  std::set<std::uint16_t> ports_;
};

bool is_v4(const IpAddress& address);
/// An address as text in its mapped form. False if it is none.
bool parse_ip(const std::string& text, IpAddress& out);
/// As people write it.
std::string format_ip(const IpAddress& address);
/// "1.2.3.4:80", "[::1]:80".
std::string format_place(const IpAddress& address, std::uint16_t port);

}  // namespace cbuild::sandbox::network
