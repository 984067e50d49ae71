// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/http.h"
#include "base/http/url.h"
#include "oci/routes/route.h"

namespace cbuild::oci::routes {

/// One host of a hosts.toml: `[host."URL"]`, or `server` with the members of the top.
struct HostEntry {
  std::optional<http::Url> url;  ///< origin and root of the API; unset: the registry itself
  bool pulls = true, resolves = true;
  http::TlsConfig tls;
  std::vector<ClientPair> clients;
  http::HeaderList headers;
  std::chrono::milliseconds dial{};

  bool operator==(const HostEntry&) const = default;
};

/// A hosts.toml of containerd (docs/hosts.md there).
struct HostsFile {
  std::vector<HostEntry> mirrors;  ///< in the order of the text
  HostEntry server;
  std::string file;

  bool operator==(const HostsFile&) const = default;
};

/// Certificates are read, relative ones from `directory`. Throws Error{input}.
HostsFile parse_hosts_toml(std::string_view text, const std::string& file, const std::string& directory);

/// Names of a registry's directory below certs.d of containerd, in their order: "host_5000_", "host:5000", "_default".
std::vector<std::string> hosts_directories(const std::string& registry);

}  // namespace cbuild::oci::routes
