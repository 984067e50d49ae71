// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/spec.h"

namespace cbuild::cli {

/// A Go duration that is not negative, in nanoseconds. Throws Error{usage}.
std::int64_t parse_step_timeout(const std::string& text);

/// An address for the hosts file, with "host-gateway" for this machine's own, which stays: "HOST:IP" or "HOST=IP", an
/// IPv6 address perhaps in brackets. Returns "HOST=IP". Throws Error{usage}.
std::string parse_extra_host(const std::string& text);

/// Checks a network: "", default, host, none, sandbox, or a name that a CNI configuration may have. Throws
/// Error{usage}.
void check_network(const std::string& name);

/// The rules of --allow-net, checked; some exclude a `network` that is not of our own. Throws Error{usage}.
std::vector<std::string> parse_allowed_hosts(const std::vector<std::string>& given, const std::string& network);

/// The certificates of a PEM file of --ca-cert, as text. Throws Error{usage}.
std::string read_ca_certificates(const std::string& file);

/// Checks an entitlement: network.host, security.insecure, device, device=NAME[,alias=OTHER]. Throws Error{usage} with
/// a suggestion.
void check_entitlement(const std::string& text);

/// Throws Error{usage} unless `allow` grants what the flags ask for; security.insecure grants all of it.
void check_entitled(const sandbox::confine::Security& security, const std::vector<std::string>& allow);

}  // namespace cbuild::cli
