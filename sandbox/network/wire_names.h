// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/network/egress_rules.h"

/// The names that clients put on the wire, out of bytes that nobody vouches for. Nothing throws.
namespace cbuild::sandbox::network {

enum class Wire {
  more,   ///< what is there so far may become one
  named,  ///< a name was said
  plain,  ///< another protocol, or none was said
};
struct WireName {
  Wire found = Wire::plain;
  std::string name = {};  ///< lower case, without a port
};

/// The server's name in the first bytes of a connection: a TLS ClientHello's (RFC 8446, RFC 6066 3), or the Host of an
/// HTTP/1 request (RFC 9112 3.2).
WireName first_name(std::string_view bytes);

inline constexpr std::uint16_t kDnsA = 1, kDnsAaaa = 28;  ///< types of records: addresses

/// A question of DNS (RFC 1035 4.1).
struct DnsQuestion {
  std::string name;  ///< lower case, no dot at the end
  std::uint16_t type = 0;
  std::size_t size = 0;  ///< of header and question, in bytes
};
/// nullopt: it is not one plain question of the class IN.
std::optional<DnsQuestion> dns_question(std::string_view message);

/// An answer without records to that message: `code` 0 (none of that type) or 3 (no such name).
std::string dns_answer(std::string_view message, const DnsQuestion& question, unsigned code);

/// The addresses in the answers of a message; none if it is broken.
std::vector<IpAddress> dns_addresses(std::string_view message);

}  // namespace cbuild::sandbox::network
