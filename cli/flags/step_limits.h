// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sandbox/spec.h"

namespace cbuild::cli {

/// Adds "KEY=VALUE[,KEY=VALUE...]" of --resource (memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus,
/// cpuset-mems; the meaning is that of `docker run`'s flags of these names). Throws Error{usage} with a suggestion for
/// unknown keys.
void add_resources(const std::string& text, sandbox::Resources& resources);

/// A Go duration that is not negative, in nanoseconds. Throws Error{usage}.
std::int64_t parse_step_timeout(const std::string& text);

/// An address for the hosts file, with "host-gateway" for this machine's own: "HOST:IP" or "HOST=IP", an IPv6 address
/// perhaps in brackets. Returns "HOST=IP". Throws Error{usage}.
std::string parse_extra_host(const std::string& text);

/// Checks an entitlement: network.host, security.insecure, device, device=NAME[,alias=OTHER]. Throws Error{usage} with
/// a suggestion.
void check_entitlement(const std::string& text);

}  // namespace cbuild::cli
