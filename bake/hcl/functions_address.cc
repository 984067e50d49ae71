// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <array>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

/// A network: an address whose bits after the prefix are zero.
struct Network {
  bool v6 = false;
  std::array<unsigned char, 16> bytes{};
  int prefix = 0;

  int bits() const { return v6 ? 128 : 32; }
};

std::string address_text(const Network& network) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(network.v6 ? AF_INET6 : AF_INET, network.bytes.data(), text, sizeof text);
  return text;
}

bool bit(const Network& network, int at) {
  return ((network.bytes[static_cast<std::size_t>(at / 8)] >> (7 - at % 8)) & 1) != 0;
}

void set_bit(Network& network, int at, bool value) {
  unsigned char& byte = network.bytes[static_cast<std::size_t>(at / 8)];
  const auto mask = static_cast<unsigned char>(1 << (7 - at % 8));
  byte = static_cast<unsigned char>(value ? byte | mask : byte & ~mask);
}

Network parse_network(const std::string& text) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const auto prefix = slash == std::string::npos ? std::nullopt : parse_int(text.substr(slash + 1));
  Network out;
  out.v6 = address.find(':') != std::string::npos;
  if (!prefix || *prefix < 0 || *prefix > out.bits() ||
      inet_pton(out.v6 ? AF_INET6 : AF_INET, address.c_str(), out.bytes.data()) != 1)
    throw ValueError(cat(go_quote(text), " is not a network, such as 10.1.0.0/16"));
  out.prefix = static_cast<int>(*prefix);
  for (int at = out.prefix; at < out.bits(); ++at) set_bit(out, at, false);
  return out;
}

/// Adds to the bits [from, to) as a number; false if it does not fit.
bool add(Network& network, int from, int to, std::uint64_t value) {
  std::uint64_t carry = value;
  for (int at = to - 1; at >= from; --at) {
    carry += bit(network, at) ? 1 : 0;
    set_bit(network, at, (carry & 1) != 0);
    carry >>= 1;
  }
  return carry == 0;
}

/// A negative number counts from the end.
Value host(const Values& arguments) {
  Network network = parse_network(arguments[0].as_string());
  const std::int64_t number = whole_at(arguments, 1);
  const std::uint64_t distance =
      number < 0 ? static_cast<std::uint64_t>(-(number + 1)) : static_cast<std::uint64_t>(number);
  bool fits = add(network, network.prefix, network.bits(), distance);
  if (number < 0)
    for (int at = network.prefix; at < network.bits(); ++at) set_bit(network, at, !bit(network, at));
  if (!fits) throw ValueError(cat("a prefix of ", network.prefix, " bits has no host ", number));
  return Value::string(address_text(network));
}

Value netmask(const Values& arguments) {
  Network network = parse_network(arguments[0].as_string());
  for (int at = 0; at < network.bits(); ++at) set_bit(network, at, at < network.prefix);
  return Value::string(address_text(network));
}

int longer_prefix(const Network& network, std::int64_t more) {
  if (more < 0 || more > 32) throw ValueError("a prefix is made longer by 32 bits at most");
  if (network.prefix + more > network.bits())
    throw ValueError(cat("a prefix of ", network.prefix + more, " bits is longer than an address"));
  return network.prefix + static_cast<int>(more);
}

Value subnet(const Values& arguments) {
  Network network = parse_network(arguments[0].as_string());
  const std::int64_t more = whole_at(arguments, 1), number = whole_at(arguments, 2);
  const int prefix = longer_prefix(network, more);
  if (number < 0 || !add(network, network.prefix, prefix, static_cast<std::uint64_t>(number)))
    throw ValueError(cat(more, " more bits have no network ", number));
  network.prefix = prefix;
  return Value::string(cat(address_text(network), "/", prefix));
}

Value subnets(const Values& arguments) {
  const Network whole = parse_network(arguments[0].as_string());
  Network next = whole;
  std::vector<std::string> out;
  bool room = true;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::int64_t more = whole_at(arguments, i);
    if (more < 1) throw ValueError("a prefix is made longer by at least one bit");
    const int prefix = longer_prefix(whole, more);
    bool aligned = true;
    for (int at = prefix; at < whole.bits(); ++at) aligned = aligned && !bit(next, at);
    for (int at = prefix; at < whole.bits(); ++at) set_bit(next, at, false);
    if (!aligned) room = room && add(next, whole.prefix, prefix, 1);
    if (!room) throw ValueError(cat("there is no space left for a prefix of ", prefix, " bits"));
    out.push_back(cat(address_text(next), "/", prefix));
    room = add(next, whole.prefix, prefix, 1);
  }
  return strings(out);
}

constexpr Function kAddressFunctions[] = {{"cidrhost", "sn", host},
                                          {"cidrnetmask", "s", netmask},
                                          {"cidrsubnet", "snn", subnet},
                                          {"cidrsubnets", "sn*", subnets}};

}  // namespace

std::span<const Function> address_functions() { return kAddressFunctions; }

}  // namespace cbuild::bake::hcl
