// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/http/http.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "oci/registry/client.h"
#include "oci/routes/routes.h"

namespace cbuild::oci::registry {

/// Where a registry is reached.
struct Endpoint {
  std::string registry;  ///< as references name it ("docker.io")
  http::Url base;        ///< origin of its API ("https://registry-1.docker.io/")
  bool insecure = false;
  std::string root = "/v2";          ///< path of its API
  std::string upstream;              ///< for mirrors of several registries: sent as "ns="; or empty
  http::HeaderList headers;          ///< sent with every request to the origin
  std::chrono::milliseconds dial{};  ///< limit of a connection attempt; 0: the usual one
  bool has_alternative = false;      ///< another place can be asked instead: failures are not waited for
};

/// Whether a failed attempt may be repeated at the same place: with an alternative once, if the failure may pass.
bool may_repeat(bool has_alternative, const http::Response& response, unsigned attempt);

/// Decides how a host is reached. Thread-safe.
class Hosts {
 public:
  Hosts(const Options& options, routes::Routes& routes, http::Pool& pool, const http::Secrets& secrets,
        http::RetryPolicy& retry);

  /// https, unless the route says http, or the host is insecure or on loopback and speaks plain http only, which is
  /// found out once by asking it. Throws as throw_failure() does when neither gives an answer.
  Endpoint endpoint(const routes::Route& route, bool has_alternative, std::string_view doing);
  /// Certificates for a URL, from certs.d.
  http::TlsConfig tls(const http::Url& url);
  bool is_insecure(const http::Url& url);

 private:
  struct Slot {
    std::mutex mutex;
    std::optional<http::Url> base;
  };
  struct Certificates {
    http::TlsConfig tls;  ///< with the first pair, or the one that the host took
    std::vector<routes::ClientPair> clients;
    bool chosen = false;
  };
  http::Response ping(const http::Url& base, bool has_alternative);
  http::Url find_out(const http::Url& secure, const http::Url& plain, bool has_alternative, std::string_view doing);
  http::Url base_of(const routes::Route& route, bool insecure, bool has_alternative, std::string_view doing);
  Certificates read_certificates(const http::Url& url);
  Certificates& certificates(const http::Url& url);
  void choose_client(const http::Url& base, bool has_alternative);
  void add_tls(const http::Url& url, const routes::Route& route);

  const Options& options_;
  routes::Routes& routes_;
  http::Pool& pool_;
  const http::Secrets& secrets_;
  http::RetryPolicy& retry_;
  std::mutex mutex_;  // guards the maps
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::map<std::string, Certificates> certificates_;
};

}  // namespace cbuild::oci::registry
