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

namespace cbuild::oci::registry {

/// Where a registry is reached.
struct Endpoint {
  std::string registry;  ///< as references name it ("docker.io")
  http::Url base;        ///< origin of its API ("https://registry-1.docker.io/")
  bool insecure = false;
};

/// Decides which host answers for a registry and how it is reached. Thread-safe.
class Hosts {
 public:
  Hosts(const Options& options, http::Pool& pool, const http::Secrets& secrets, http::RetryPolicy& retry);

  /// The one place where hosts are chosen. https, unless the registry is insecure or on loopback and speaks plain http
  /// only, which is found out once by asking it. Throws as throw_failure() does when neither gives an answer.
  Endpoint endpoint(const std::string& registry, std::string_view doing);
  /// Certificates for a URL, from certs.d.
  http::TlsConfig tls(const http::Url& url);
  bool is_insecure(const http::Url& url) const;

 private:
  struct Slot {
    std::mutex mutex;
    std::optional<Endpoint> endpoint;
  };
  http::Response ping(const http::Url& base);
  http::Url find_out(const http::Url& secure, const http::Url& plain, std::string_view doing);
  http::TlsConfig read_certificates(const http::Url& url) const;

  const Options& options_;
  http::Pool& pool_;
  const http::Secrets& secrets_;
  http::RetryPolicy& retry_;
  std::mutex mutex_;  // guards the maps
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::map<std::string, http::TlsConfig> tls_;
};

}  // namespace cbuild::oci::registry
