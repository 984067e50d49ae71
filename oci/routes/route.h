// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/http/http.h"
#include "oci/reference.h"

namespace cbuild::oci::routes {

/// A certificate by which we prove who we are, and its key, as paths.
struct ClientPair {
  std::string certificate, key;

  bool operator==(const ClientPair&) const = default;
};

/// One place where an image may be asked for.
struct Route {
  Reference reference;               ///< the image's name there; its registry is the key of accounts
  std::string host;                  ///< host[:port] of the API
  std::string scheme;                ///< "https" or "http"; empty: to be found out
  std::string root = "/v2";          ///< path of the API
  std::string upstream;              ///< for mirrors that serve several registries: sent as "ns="; or empty
  bool insecure = false;             ///< plain http and certificates that cannot be verified are allowed
  http::TlsConfig tls;               ///< besides the certificates of certs.d; without a pair of ours
  std::vector<ClientPair> clients;   ///< tried in this order until the host takes one
  http::HeaderList headers;          ///< sent with every request
  std::chrono::milliseconds dial{};  ///< limit of a connection attempt; 0: the usual one
  bool is_mirror = false;
  std::string file;  ///< that says so; empty: nobody does

  /// "mirror.example:5000/hub/busybox": for messages.
  std::string name() const;
  bool operator==(const Route&) const = default;
};

/// The route of an image whose registry nobody says anything about.
Route plain_route(const Reference& reference);
/// host[:port] of a registry's API: docker.io has another host.
std::string api_host(const std::string& registry);

}  // namespace cbuild::oci::routes
