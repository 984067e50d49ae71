// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "oci/registry/client.h"
#include "oci/registry/http.h"
#include "oci/registry/retry.h"
#include "oci/registry/secrets.h"

namespace cbuild::oci::registry {

/// Where a registry is reached.
struct Endpoint {
  std::string registry;  ///< as references name it ("docker.io")
  Url base;              ///< origin of its API ("https://registry-1.docker.io/")
  bool insecure = false;
};

/// Decides which host answers for a registry and how it is reached. Thread-safe.
class Hosts {
 public:
  Hosts(const Options& options, HttpPool& pool, const Secrets& secrets, RetryPolicy& retry);

  /// The one place where hosts are chosen. https, unless the registry is insecure or on loopback and speaks
  /// plain http only, which is found out once by asking it. Throws what throw_failure() does when neither gives
  /// an answer.
  Endpoint endpoint(const std::string& registry, std::string_view doing);
  /// Certificates for a URL, from certs.d.
  TlsConfig tls(const Url& url);
  bool is_insecure(const Url& url) const;

 private:
  struct Slot {
    std::mutex mutex;
    std::optional<Endpoint> endpoint;
  };
  HttpResponse ping(const Url& base);
  Url find_out(const Url& secure, const Url& plain, std::string_view doing);
  TlsConfig read_certificates(const Url& url) const;

  const Options& options_;
  HttpPool& pool_;
  const Secrets& secrets_;
  RetryPolicy& retry_;
  std::mutex mutex_;  // guards the maps
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::map<std::string, TlsConfig> tls_;
};

}  // namespace cbuild::oci::registry
